const http = require("node:http")

let asked = 0
const server = http.createServer((request, response) => {
  asked += 1
  const who = request.headers["x-forwarded-email"] ?? "somebody"
  response.setHeader("Cache-Control", request.url === "/fresh" ? "no-store" : "public, max-age=60")
  response.end(`asked ${asked} times, ${request.url} for ${who}\n`)
})
process.once("SIGTERM", () => server.close(() => process.exit(0)))
server.listen(process.env.PORT, "0.0.0.0", () => console.log(`listening on ${process.env.PORT}`))
