export default { title: "A harbour", cleanUrls: true, srcExclude: ["README.md"] }
