import type { ReactNode } from "react"
import "./style.css"

export const metadata = { title: "A harbour of your own", description: "A Next.js-style app, run by Havre" }

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  )
}
