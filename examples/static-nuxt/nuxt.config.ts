export default { telemetry: false, compatibilityDate: "2025-11-01" }
