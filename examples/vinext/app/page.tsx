export const dynamic = "force-dynamic"

export default function Page() {
  const facts = {
    App: process.env.CC_APP_NAME ?? "this machine",
    Commit: (process.env.CC_COMMIT_ID ?? "not deployed").slice(0, 12),
    Instance: process.env.CC_PRETTY_INSTANCE_NAME ?? "none",
    Runtime: typeof Bun === "undefined" ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`,
    Rendered: new Date().toISOString(),
  }
  return (
    <main>
      <h1>A harbour of your own</h1>
      <p>You pushed a repository. This machine detected it, built it, isolated it and put it behind TLS.</p>
      <dl>
        {Object.entries(facts).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </main>
  )
}
