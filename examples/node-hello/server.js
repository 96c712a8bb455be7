const http = require("node:http")

const server = http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`)
  response.end(`Hello from ${process.env.CC_APP_NAME ?? "Node"} ${process.version}\n`)
})
process.on("SIGTERM", () => server.close(() => process.exit(0)))
server.listen(8080, "0.0.0.0", () => console.log("listening on 8080"))
