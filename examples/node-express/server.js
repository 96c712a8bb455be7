const express = require("express")

const app = express()
app.get("/", (request, response) => response.send(`Hello from Express on ${process.version}\n`))
app.get("/visitor/:name", (request, response) => response.json({ hello: request.params.name }))

const server = app.listen(8080, "0.0.0.0", () => console.log("listening on 8080"))
process.on("SIGTERM", () => server.close(() => process.exit(0)))
