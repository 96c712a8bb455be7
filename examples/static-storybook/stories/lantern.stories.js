export default { title: "Lantern", render: ({ lit }) => `<p>The lantern is ${lit ? "lit" : "dark"}</p>` }

export const Lit = { args: { lit: true } }
