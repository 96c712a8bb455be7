module.exports = {
  title: "A harbour",
  url: "https://harbour.example",
  baseUrl: "/",
  presets: [["classic", { docs: { routeBasePath: "/" }, blog: false }]],
}
