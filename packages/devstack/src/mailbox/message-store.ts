import { randomUUID } from 'node:crypto'
import type { ParsedMail } from 'mailparser'
import { addressesOf, type MessageSummary, type StoredMessage } from './message.ts'

const MESSAGES_MAX = 2_000
const BYTES_MAX = 64 * 1024 ** 2

/** The mails that came, newest first, in memory: at most 2,000 of them and 64 MB; the oldest make room. */
export class MessageStore {
  readonly #messages: StoredMessage[] = []
  readonly #listeners = new Set<() => void>()
  #bytes = 0

  add(parsed: ParsedMail, raw: Buffer, envelope: { readonly from: string; readonly to: readonly string[] }): void {
    const { to, cc } = { to: addressesOf(parsed.to), cc: addressesOf(parsed.cc) }
    const named = new Set([...to, ...cc].map(({ Address }) => Address.toLowerCase()))
    const text = parsed.text ?? ''
    const summary: MessageSummary = {
      ID: randomUUID().replaceAll('-', ''),
      MessageID: (parsed.messageId ?? '').replaceAll(/^<|>$/g, ''),
      Read: false,
      From: addressesOf(parsed.from)[0] ?? { Name: '', Address: envelope.from },
      To: to,
      Cc: cc,
      // Whoever the envelope names and the headers do not was a blind copy.
      Bcc: envelope.to.filter((address) => !named.has(address.toLowerCase())).map((Address) => ({ Name: '', Address })),
      ReplyTo: addressesOf(parsed.replyTo),
      Subject: parsed.subject ?? '',
      Created: new Date().toISOString(),
      Tags: [],
      Size: raw.length,
      Attachments: parsed.attachments.filter(({ related }) => !related).length,
      Snippet: text.replaceAll(/\s+/g, ' ').trim().slice(0, 250),
    }
    this.#messages.unshift({ summary, parsed, raw, returnPath: envelope.from })
    this.#bytes += raw.length
    while (this.#messages.length > MESSAGES_MAX || (this.#bytes > BYTES_MAX && this.#messages.length > 1)) {
      this.#bytes -= this.#messages.pop()?.raw.length ?? 0
    }
    this.#announce()
  }

  list(): readonly StoredMessage[] {
    return this.#messages
  }

  find(id: string): StoredMessage | undefined {
    return id === 'latest' ? this.#messages[0] : this.#messages.find(({ summary }) => summary.ID === id)
  }

  markRead(message: StoredMessage, read: boolean): void {
    if (message.summary.Read === read) return
    message.summary.Read = read
    this.#announce()
  }

  remove(isUnwanted: (message: StoredMessage) => boolean): void {
    const kept = this.#messages.filter((message) => !isUnwanted(message))
    this.#messages.splice(0, this.#messages.length, ...kept)
    this.#bytes = kept.reduce((total, { raw }) => total + raw.length, 0)
    this.#announce()
  }

  /** Calls the listener at each change until the answer is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }
}
