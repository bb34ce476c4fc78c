import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A backend between browsers and Sluice: it holds the API key, creates uploads, and is notified of contents. Java 17,
 * without other libraries:
 *
 *     SLUICE_SERVER=https://upload.example SLUICE_KEY=... SLUICE_WEBHOOK_SECRET=whsec_... java Backend.java
 *
 * A browser sends `POST /uploads` with `filename`, `size` and `content_type` of a file, and sends the segments to the
 * gateway itself, with the token in the response. `GET /videos` lists what has become of the files. Create the webhook
 * once:
 *
 *     sluice webhook create https://backend.example/sluice-events --event content.ready --event content.deleted
 *
 * An event is kept before it is acknowledged, and processed afterwards, so none is lost when this process dies. To
 * process one is to read the content as it is now, so neither repeats nor the order of events matter.
 *
 * In Spring, `createUpload`, `receiveEvent` and `listVideos` are the methods of a `@RestController`: the body of events
 * is a `@RequestBody byte[]`, since the signature is that of the bytes; `processEvents` is `@Scheduled`; the folders
 * `events`, `done` and `videos` are tables, with the id as primary key; Jackson replaces `Json`.
 */
public final class Backend {
    private static final String SLUICE = System.getenv("SLUICE_SERVER").replaceAll("/+$", "");
    private static final String KEY = "Bearer " + System.getenv("SLUICE_KEY");
    private static final byte[] SECRET =
            Base64.getDecoder().decode(System.getenv("SLUICE_WEBHOOK_SECRET").replaceFirst("^whsec_", ""));
    private static final Path FOLDER = Path.of(System.getenv().getOrDefault("FOLDER", "backend"));
    private static final Path EVENTS = FOLDER.resolve("events");
    private static final Path DONE = FOLDER.resolve("done");
    private static final Path VIDEOS = FOLDER.resolve("videos");
    private static final long TOLERANCE_SECONDS = 300;
    private static final Duration KEPT = Duration.ofDays(10); // Sluice can replay an event for a week
    private static final int BODY_BYTES = 1024 * 1024;
    private static final HttpClient HTTP = HttpClient.newBuilder()
            .connectTimeout(Duration.ofSeconds(5))
            .followRedirects(HttpClient.Redirect.NORMAL) // of several cells, another one may have more room
            .build();
    private static final Semaphore ARRIVED = new Semaphore(0);

    private record Response(int status, String json) {}

    private interface Handler {
        Response handle(HttpExchange request) throws IOException, InterruptedException;
    }

    public static void main(String[] arguments) throws IOException {
        for (Path folder : List.of(EVENTS, DONE, VIDEOS)) {
            Files.createDirectories(folder);
        }
        for (Path part : files(FOLDER)) {
            if (Files.isRegularFile(part)) { // of a process that died
                Files.delete(part);
            }
        }
        System.setProperty("sun.net.httpserver.maxReqTime", "30"); // seconds for a request to arrive
        Map<String, String> environment = System.getenv();
        int port = Integer.parseInt(environment.getOrDefault("PORT", "8000"));
        HttpServer server = HttpServer.create(
                new InetSocketAddress(environment.getOrDefault("HOST", "127.0.0.1"), port), 128);
        server.setExecutor(Executors.newFixedThreadPool(16));
        serve(server, "POST", "/uploads", Backend::createUpload); // @PostMapping("/uploads")
        serve(server, "POST", "/sluice-events", Backend::receiveEvent); // @PostMapping("/sluice-events")
        serve(server, "GET", "/videos", Backend::listVideos); // @GetMapping("/videos")
        new Thread(Backend::processEvents, "events").start();
        server.start();
    }

    /** Create an upload for the browser. Here you check who is signed in, and what that person may upload. */
    private static Response createUpload(HttpExchange request) throws IOException, InterruptedException {
        Object file;
        try {
            file = Json.parse(new String(request.getRequestBody().readNBytes(BODY_BYTES), StandardCharsets.UTF_8));
        } catch (IllegalArgumentException error) {
            return new Response(400, "{\"error\": {\"code\": \"BODY_NOT_JSON\"}}");
        }
        String wanted = Json.text(Json.members(file, "filename", "size", "content_type"));
        HttpRequest creation = toSluice("/v1/uploads")
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", UUID.randomUUID().toString()) // the second request creates no second upload
                .POST(HttpRequest.BodyPublishers.ofString(wanted))
                .build();
        HttpResponse<String> found = null;
        Object body = null;
        for (int attempt = 0; attempt < 2 && (body == null || found.statusCode() >= 500); attempt++) {
            try {
                found = HTTP.send(creation, HttpResponse.BodyHandlers.ofString());
                body = Json.parse(found.body());
            } catch (IOException | IllegalArgumentException error) {
                body = null;
            }
        }
        if (body == null) {
            return new Response(502, "{\"error\": {\"code\": \"GATEWAY_UNREACHABLE\"}}");
        }
        if (found.statusCode() >= 400) { // such as VALIDATION_FAILED, or OWNER_LIMIT with Retry-After
            return new Response(found.statusCode(), Json.text(Json.members(body, "error")));
        }
        return new Response(201, Json.text(Json.members(
                Json.member(body, "data"), "id", "segment_size", "segment_count", "links", "upload_token")));
    }

    /** Keep an event, unless it is known, and respond at once. */
    private static Response receiveEvent(HttpExchange request) throws IOException {
        byte[] body = request.getRequestBody().readNBytes(BODY_BYTES);
        String id = request.getRequestHeaders().getFirst("webhook-id");
        String timestamp = request.getRequestHeaders().getFirst("webhook-timestamp");
        String signatures = request.getRequestHeaders().getFirst("webhook-signature");
        if (id == null || timestamp == null || signatures == null || !id.matches("[0-9A-Za-z_-]{1,200}")) {
            return new Response(400, null);
        }
        if (!isSigned(id, timestamp, signatures, body)) {
            return new Response(401, null);
        }
        Object event = Json.parse(new String(body, StandardCharsets.UTF_8));
        String type = (String) Json.member(event, "type");
        boolean isWanted = type.equals("content.ready") || type.equals("content.deleted");
        if (isWanted && !Files.exists(DONE.resolve(id))) { // a repeat replaces the same file
            write(EVENTS.resolve(id), (String) Json.member(Json.member(event, "data"), "upload_id"));
            ARRIVED.release();
        }
        return new Response(204, null);
    }

    /** Standard Webhooks: one of the signatures is the HMAC of id, time and body, and the time is that of now. */
    private static boolean isSigned(String id, String timestamp, String signatures, byte[] body) {
        try {
            if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE_SECONDS) {
                return false;
            }
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(SECRET, "HmacSHA256"));
            mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
            byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
            boolean isSigned = false;
            for (String signature : signatures.split(" ")) { // two, while the secret is being replaced
                isSigned |= MessageDigest.isEqual(expected, signature.getBytes()); // in constant time
            }
            return isSigned;
        } catch (NumberFormatException error) {
            return false;
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Response listVideos(HttpExchange request) throws IOException {
        List<String> rows = new ArrayList<>();
        for (Path video : files(VIDEOS)) {
            try {
                rows.add(Files.readString(video));
            } catch (NoSuchFileException error) {
                continue; // it was deleted meanwhile
            }
        }
        return new Response(200, "[" + String.join(",", rows) + "]");
    }

    /** Process events that are kept, also those of an earlier run. What fails is tried again. */
    private static void processEvents() {
        while (true) {
            try {
                ARRIVED.tryAcquire(5, TimeUnit.SECONDS);
                ARRIVED.drainPermits();
                for (Path event : files(EVENTS)) {
                    process(event);
                }
                Instant oldest = Instant.now().minus(KEPT);
                for (Path event : files(DONE)) {
                    if (Files.getLastModifiedTime(event).toInstant().isBefore(oldest)) {
                        Files.delete(event);
                    }
                }
            } catch (IOException | RuntimeException error) {
                System.err.println("events are processed later: " + error);
            } catch (InterruptedException error) {
                return;
            }
        }
    }

    /** Keep the content as it is now: its row, or nothing if it is deleted. */
    private static void process(Path event) throws IOException, InterruptedException {
        String contentId = Files.readString(event);
        HttpResponse<String> found = HTTP.send(
                toSluice("/v1/contents/" + contentId).build(), HttpResponse.BodyHandlers.ofString());
        if (found.statusCode() == 200) {
            write(VIDEOS.resolve(contentId), Json.text(Json.member(Json.parse(found.body()), "data")));
        } else if (found.statusCode() == 404) {
            Files.deleteIfExists(VIDEOS.resolve(contentId));
        } else {
            System.err.println("event " + event.getFileName() + " is processed later: status " + found.statusCode());
            return;
        }
        Files.move(event, DONE.resolve(event.getFileName()), StandardCopyOption.REPLACE_EXISTING);
    }

    private static HttpRequest.Builder toSluice(String path) {
        return HttpRequest.newBuilder(URI.create(SLUICE + path))
                .timeout(Duration.ofSeconds(10))
                .header("Authorization", KEY);
    }

    /** Write a file: when this returns, it is on the disk; before, it is not there or as it was. */
    private static void write(Path target, String text) throws IOException {
        Path part = Files.createTempFile(FOLDER, "part", null);
        try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
            channel.write(StandardCharsets.UTF_8.encode(text));
            channel.force(true);
        }
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
        try (FileChannel folder = FileChannel.open(target.getParent(), StandardOpenOption.READ)) {
            folder.force(true);
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        try (var found = Files.list(folder)) {
            return found.sorted().toList();
        }
    }

    private static void serve(HttpServer server, String method, String path, Handler handler) {
        server.createContext(path, exchange -> {
            try (exchange) {
                Response response;
                if (!exchange.getRequestMethod().equals(method) || !exchange.getRequestURI().getPath().equals(path)) {
                    response = new Response(404, null);
                } else {
                    response = handler.handle(exchange);
                }
                byte[] body = response.json() == null ? new byte[0] : response.json().getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Content-Type", "application/json");
                exchange.sendResponseHeaders(response.status(), body.length == 0 ? -1 : body.length);
                exchange.getResponseBody().write(body);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /** As much of JSON as this file needs: objects, lists, texts, numbers as they are written, true, false, null. */
    private static final class Json {
        private final String source;
        private int at;

        private Json(String source) {
            this.source = source;
        }

        /** Raises IllegalArgumentException. */
        static Object parse(String source) {
            Json json = new Json(source);
            try {
                Object found = json.value(0);
                json.space();
                if (json.at == source.length()) {
                    return found;
                }
            } catch (IndexOutOfBoundsException error) {
                // The text ends too early.
            }
            throw new IllegalArgumentException("this is no JSON");
        }

        static Object member(Object object, String name) {
            return object instanceof Map<?, ?> members ? members.get(name) : null;
        }

        static Map<String, Object> members(Object object, String... names) {
            Map<String, Object> found = new LinkedHashMap<>();
            for (String name : names) {
                if (object instanceof Map<?, ?> members && members.containsKey(name)) {
                    found.put(name, members.get(name));
                }
            }
            return found;
        }

        static String text(Object value) {
            StringBuilder text = new StringBuilder();
            if (value instanceof Map<?, ?> members) {
                members.forEach((name, member) -> {
                    text.append(text.isEmpty() ? "" : ",");
                    text.append(quoted((String) name)).append(':').append(text(member));
                });
                return "{" + text + "}";
            }
            if (value instanceof List<?> items) {
                items.forEach(item -> text.append(text.isEmpty() ? "" : ",").append(text(item)));
                return "[" + text + "]";
            }
            return value instanceof String string ? quoted(string) : String.valueOf(value); // Literal keeps its form
        }

        private record Literal(String form) {
            @Override
            public String toString() {
                return form;
            }
        }

        private static String quoted(String string) {
            StringBuilder text = new StringBuilder("\"");
            for (char letter : string.toCharArray()) {
                if (letter < ' ' || letter == '"' || letter == '\\' || Character.isSurrogate(letter)) {
                    text.append(String.format("\\u%04x", (int) letter));
                } else {
                    text.append(letter);
                }
            }
            return text.append('"').toString();
        }

        private Object value(int depth) {
            space();
            if (depth > 100) {
                throw new IllegalArgumentException("this is nested too deeply");
            }
            if (source.charAt(at) == '"') {
                return string();
            }
            if (take('{')) {
                Map<String, Object> members = new LinkedHashMap<>();
                for (space(); !take('}'); space()) {
                    require(members.isEmpty() || take(','));
                    space();
                    String name = string();
                    space();
                    require(take(':'));
                    members.put(name, value(depth + 1));
                }
                return members;
            }
            if (take('[')) {
                List<Object> items = new ArrayList<>();
                for (space(); !take(']'); space()) {
                    require(items.isEmpty() || take(','));
                    items.add(value(depth + 1));
                }
                return items;
            }
            int start = at;
            while (at < source.length() && "+-.0123456789abcdefghijklmnopqrstuvwxyzE".indexOf(source.charAt(at)) >= 0) {
                at++;
            }
            String form = source.substring(start, at);
            require(form.matches("true|false|null|-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?"));
            return form.equals("null") ? null : new Literal(form);
        }

        private String string() {
            require(take('"'));
            StringBuilder text = new StringBuilder();
            while (!take('"')) {
                char letter = source.charAt(at++);
                require(letter >= ' ');
                if (letter != '\\') {
                    text.append(letter);
                    continue;
                }
                char escaped = source.charAt(at++);
                int place = "\"\\/bfnrt".indexOf(escaped);
                if (escaped == 'u') {
                    text.append((char) Integer.parseInt(source.substring(at, at + 4), 16));
                    at += 4;
                } else {
                    require(place >= 0);
                    text.append("\"\\/\b\f\n\r\t".charAt(place));
                }
            }
            return text.toString();
        }

        private void space() {
            while (at < source.length() && " \t\r\n".indexOf(source.charAt(at)) >= 0) {
                at++;
            }
        }

        private boolean take(char wanted) {
            boolean isThere = source.charAt(at) == wanted;
            at += isThere ? 1 : 0;
            return isThere;
        }

        private static void require(boolean condition) {
            if (!condition) {
                throw new IllegalArgumentException("this is no JSON");
            }
        }
    }
}
