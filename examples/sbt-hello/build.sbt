scalaVersion := "2.13.17"
name := "hello"
version := "1.0"

enablePlugins(JavaAppPackaging)

libraryDependencies += "com.lihaoyi" %% "upickle" % "4.3.2"
