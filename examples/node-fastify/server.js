import fastify from "fastify"

const app = fastify({ logger: true })
app.get("/", async () => ({ hello: "Fastify", node: process.version }))

process.on("SIGTERM", () => app.close())
await app.listen({ port: 8080, host: "0.0.0.0" })
