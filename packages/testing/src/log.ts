import type { ServiceName } from '@saas/contracts'
import { createLogger, type Logger } from '@saas/http'

/** One line of a log, parsed. */
type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string }

/** A service's real logger, with its redaction, that writes into memory. */
export interface TestLog {
  readonly logger: Logger
  readonly lines: readonly LogLine[]
  /** Everything that was written, for looking for what must not be there. */
  text(): string
}

/** Set SAAS_TEST_LOG to a level (`debug`) to see what services say while tests run. */
export function testLog(service: ServiceName): TestLog {
  const lines: LogLine[] = []
  const shown = process.env['SAAS_TEST_LOG']
  const logger = createLogger(service, shown ?? 'info', {
    write: (line: string) => {
      lines.push(JSON.parse(line) as LogLine)
      if (shown !== undefined) process.stderr.write(line)
    },
  })
  return { logger, lines, text: () => lines.map((line) => JSON.stringify(line)).join('\n') }
}
