import com.sun.net.httpserver.{HttpExchange, HttpServer}
import java.net.InetSocketAddress

/** Answers every request with a line of JSON about itself. */
object Hello {
  case class Answer(hello: String, path: String)
  implicit val writer: upickle.default.Writer[Answer] = upickle.default.macroW

  def main(arguments: Array[String]): Unit = {
    val server = HttpServer.create(new InetSocketAddress("0.0.0.0", 8080), 0)
    server.createContext("/", (exchange: HttpExchange) => {
      val body = upickle.default.write(Answer("Scala", exchange.getRequestURI.getPath)).getBytes("UTF-8")
      exchange.sendResponseHeaders(200, body.length)
      exchange.getResponseBody.write(body)
      exchange.close()
    })
    server.start()
    println("listening on 8080")
  }
}
