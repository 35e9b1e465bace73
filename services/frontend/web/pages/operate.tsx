import { Page, SignedInOnly } from '../components/page.tsx'
import { texts } from '../language.ts'
import { linkTo, place } from '../router.ts'
import { AuditLog } from './operate-audit.tsx'
import { DeadLetters } from './operate-dead-letters.tsx'
import { LagTables } from './operate-lag.tsx'
import { Mails } from './operate-mails.tsx'
import { Schedules } from './operate-schedules.tsx'
import { Users } from './operate-users.tsx'

const sections = {
  mails: Mails,
  schedules: Schedules,
  deadLetters: DeadLetters,
  lag: LagTables,
  users: Users,
  audit: AuditLog,
}
const names = Object.keys(sections) as (keyof typeof sections)[]

export function OperatePage() {
  return (
    <SignedInOnly permission="admin">
      <Operate />
    </SignedInOnly>
  )
}

function Operate() {
  const { operate } = texts.value
  const current = names.find((name) => name === place.value.query.get('show')) ?? 'mails'
  const Section = sections[current]
  return (
    <Page title={operate.title} kind="office">
      <nav class="tabs" aria-label={operate.sections}>
        {names.map((name) => (
          <a key={name} href={linkTo('operate', {}, { show: name })} aria-current={name === current || undefined}>
            {operate.tabs[name]}
          </a>
        ))}
      </nav>
      <h2 class="visually-hidden">{operate.tabs[current]}</h2>
      <Section />
    </Page>
  )
}
