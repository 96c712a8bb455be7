export function GET() {
  return Response.json({ status: "ok", instance: process.env.INSTANCE_ID ?? null })
}
