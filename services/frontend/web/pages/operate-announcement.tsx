import { useSignal } from '@preact/signals'
import {
  fallbackLanguage,
  languages,
  notificationsRoutes,
  roles,
  type Language,
  type NewSchedule,
} from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { call } from '../client.ts'
import { entry, Field, Form, Select, TextArea } from '../components/form.tsx'
import { language, nameOfLanguage, texts } from '../language.ts'
import { say } from '../notices.ts'

const EACH_USERS_ZONE = 'each'
const EVERYBODY = 'everybody'
const rhythms = ['once', 'daily', 'weekly'] as const
const TITLE_LENGTH_MAX = 70
const TEXT_LENGTH_MAX = 5_000

/** Schedules an announcement at a local time; its id is made before the first send, so that sending twice makes one. */
export function AnnouncementForm({ made }: { made: () => void }) {
  const { operate } = texts.value
  const id = useSignal(uuidv7())
  const here = new Intl.DateTimeFormat().resolvedOptions().timeZone
  const send = async (entries: FormData, form: HTMLFormElement): Promise<void> => {
    const body = announcementOf(entries)
    await call(notificationsRoutes.putSchedule, { params: { id: id.value }, body })
    id.value = uuidv7()
    form.reset()
    say(operate.announced)
    made()
  }
  return (
    <section class="panel" aria-labelledby="announce">
      <h3 id="announce">{operate.announce}</h3>
      <Form submit={operate.schedule} send={send} guarded="announcement">
        <Field name="at" label={operate.at} type="datetime-local" required />
        <Select name="repeats" label={operate.repeats}>
          {rhythms.map((rhythm) => (
            <option key={rhythm} value={rhythm}>
              {operate.rhythms[rhythm]}
            </option>
          ))}
        </Select>
        <Select name="zone" label={operate.zone}>
          <option value={EACH_USERS_ZONE}>{operate.zoneOfUsers}</option>
          <option value={here}>{here}</option>
          {here !== 'UTC' && <option value="UTC">UTC</option>}
        </Select>
        <Select name="roles" label={operate.to}>
          <option value={EVERYBODY}>{operate.everybody}</option>
          {roles.map((role) => (
            <option key={role} value={role}>
              {operate.roleNames[role]}
            </option>
          ))}
        </Select>
        {languages.map((which) => (
          <fieldset key={which} lang={which} class="words">
            <legend>{nameOfLanguage(which, language.value)}</legend>
            <Field
              name={`title-${which}`}
              pointer={`/announcement/${which}/title`}
              label={operate.announcementTitle}
              maxLength={TITLE_LENGTH_MAX}
              required
            />
            <TextArea
              name={`text-${which}`}
              pointer={`/announcement/${which}/text`}
              label={operate.announcementText}
              hint={operate.announcementHint}
              maxLength={TEXT_LENGTH_MAX}
              rows={5}
              required
            />
          </fieldset>
        ))}
      </Form>
    </section>
  )
}

function announcementOf(entries: FormData): NewSchedule {
  const at = entry(entries, 'at').slice(0, 'YYYY-MM-DDTHH:MM'.length)
  const zone = entry(entries, 'zone')
  const role = roles.find((known) => known === entry(entries, 'roles'))
  const written = (which: Language) => ({
    title: entry(entries, `title-${which}`),
    text: entry(entries, `text-${which}`),
  })
  const others = languages.map((which) => [which, written(which)])
  return {
    name: entry(entries, `title-${fallbackLanguage}`),
    ...timingOf(at, entry(entries, 'repeats')),
    zone: zone === EACH_USERS_ZONE ? null : zone,
    catchUp: 'once',
    roles: role === undefined ? null : [role],
    announcement: { ...Object.fromEntries(others), [fallbackLanguage]: written(fallbackLanguage) },
  }
}

/** A time that comes again is that time of day, every day or on that weekday; the date says only which. */
function timingOf(at: string, rhythm: string): { at: string } | { cron: string } {
  if (rhythm !== 'daily' && rhythm !== 'weekly') return { at }
  const [date = '', time = ''] = at.split('T')
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return { cron: `${minute} ${hour} * * ${rhythm === 'weekly' ? new Date(date).getUTCDay() : '*'}` }
}
