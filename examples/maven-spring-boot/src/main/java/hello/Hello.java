package hello;

import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Hello {
    @Value("${greeting}")
    private String greeting;

    public static void main(String[] args) {
        SpringApplication.run(Hello.class, args);
    }

    @GetMapping("/")
    public String index() {
        return greeting + " from Spring Boot on Java " + Runtime.version().feature() + "\n";
    }

    @GetMapping("/people/{name}")
    public Map<String, String> person(@PathVariable String name) {
        return Map.of("name", name);
    }
}
