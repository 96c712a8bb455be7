import { Hono } from "hono"

const app = new Hono()
app.get("/", (context) => context.text(`Hello from Hono on Bun ${Bun.version}`))
app.get("/people/:name", (context) => context.json({ hello: context.req.param("name") }))

export default { port: 8080, hostname: "0.0.0.0", fetch: app.fetch }
