name := "hello"
version := "1.0"
scalaVersion := "2.13.18"

enablePlugins(PlayScala)

libraryDependencies += guice
