package hello;

import fi.iki.elonen.NanoHTTPD;

/** Answers every request with a line about itself. */
public class Hello extends NanoHTTPD {
    public Hello() {
        super(8080);
    }

    public static void main(String[] args) throws Exception {
        new Hello().start(NanoHTTPD.SOCKET_READ_TIMEOUT, false);
        System.out.println("listening on 8080");
    }

    @Override
    public Response serve(IHTTPSession session) {
        return newFixedLengthResponse("Hello from NanoHTTPD, " + session.getUri() + "\n");
    }
}
