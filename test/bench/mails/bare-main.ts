import { createTransport } from 'nodemailer'
import { CONNECTIONS, type BareJob } from './bare.ts'

process.once('message', (message) => {
  void send(message as BareJob)
})
process.send?.('ready')

/** What anybody would write: a pool, and a mail to each. */
async function send({ url, mails, subject, text, html }: BareJob): Promise<void> {
  const pool = createTransport({ url, pool: true, maxConnections: CONNECTIONS, maxMessages: 1_000 })
  await Promise.all(
    Array.from({ length: mails }, async (_, index) => {
      await pool.sendMail({
        from: 'Shop <shop@shop.example>',
        to: `u${index}@d${index % 20}.example`,
        subject,
        text,
        html,
        textEncoding: 'quoted-printable',
        headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': 'en' },
      })
    }),
  )
  pool.close()
  process.send?.('done')
}
