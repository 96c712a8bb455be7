import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** Answers every request with a line about itself, on the HTTP server that Java brings along. */
public class Hello {
    public static void main(String[] args) throws Exception {
        String greeting = args.length > 0 ? String.join(" ", args) : "Hello";
        HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", 8080), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            long heap = Runtime.getRuntime().maxMemory() / (1024 * 1024);
            String text = greeting + " from " + System.getenv("CC_APP_NAME") + " on Java "
                    + Runtime.version().feature() + ", heap " + heap + " MiB\n";
            byte[] body = text.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        System.out.println("listening on 8080");
    }
}
