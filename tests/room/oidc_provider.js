// An OpenID Connect provider with one person who is always signed in: authorisation code with PKCE, RS256.
const http = require("node:http")
const { createHash, generateKeyPairSync, randomUUID, sign } = require("node:crypto")

const [port, clientId] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
const codes = new Map()
const part = (content) => Buffer.from(JSON.stringify(content)).toString("base64url")

function idToken(nonce) {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: clientId, sub: "1", email: "dev@example.test", email_verified: true, nonce }
  const text = `${part({ alg: "RS256", kid: "k" })}.${part({ ...claims, iat: now, exp: now + 600 })}`
  return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`
}

function token(form) {
  const known = codes.get(form.get("code"))
  codes.delete(form.get("code"))
  const proof = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url")
  if (!known || known.challenge !== proof) return [400, { error: "invalid_grant" }]
  const answer = { access_token: randomUUID(), token_type: "Bearer", expires_in: 600 }
  return [200, { ...answer, id_token: idToken(known.nonce) }]
}

http.createServer((request, response) => {
  const url = new URL(request.url, issuer)
  let body = ""
  request.on("data", (piece) => (body += piece))
  request.on("end", () => {
    const say = (status, content) => {
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(content))
    }
    if (url.pathname === "/.well-known/openid-configuration") {
      say(200, {
        issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
        id_token_signing_alg_values_supported: ["RS256"], response_types_supported: ["code"],
        subject_types_supported: ["public"], code_challenge_methods_supported: ["S256"],
      })
    } else if (url.pathname === "/keys") {
      say(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "RS256", use: "sig" }] })
    } else if (url.pathname === "/auth") {
      const code = randomUUID()
      codes.set(code, { nonce: url.searchParams.get("nonce"), challenge: url.searchParams.get("code_challenge") })
      const back = new URL(url.searchParams.get("redirect_uri"))
      back.searchParams.set("code", code)
      back.searchParams.set("state", url.searchParams.get("state"))
      response.writeHead(302, { Location: back.href }).end()
    } else if (url.pathname === "/token") {
      say(...token(new URLSearchParams(body)))
    } else {
      say(404, {})
    }
  })
}).listen(port, "127.0.0.1")
