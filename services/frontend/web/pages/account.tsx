import { PASSWORD_CHARACTERS_MIN, authRoutes, languages, type Language, type Profile } from '@saas/contracts'
import { call } from '../client.ts'
import { Field, Form, PasswordField, Select, entry, newSecretEntry, secretEntry } from '../components/form.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { chooseLanguage, nameOfLanguage, texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { rememberUser, signOut, user } from '../session.ts'
import { AvatarSection } from './account-avatar.tsx'
import { EmailSection } from './account-email.tsx'
import { LeavingSection } from './account-leaving.tsx'
import { PreferencesSection } from './account-preferences.tsx'
import { SecuritySection } from './account-security.tsx'
import { useProof } from './account-security-steps.tsx'
import { SessionsSection } from './account-sessions.tsx'

export function AccountPage() {
  return (
    <SignedInOnly>
      <Account />
    </SignedInOnly>
  )
}

function Account() {
  const { account, nav } = texts.value
  const person = user.value
  if (person === undefined) return null
  return (
    <Page title={account.title} kind="account" lead={<p class="lead">{person.email}</p>}>
      <AvatarSection person={person} />
      <ProfileSection person={person} />
      <EmailSection person={person} />
      <PreferencesSection />
      <SessionsSection />
      <SecuritySection />
      <PasswordSection />
      <LeavingSection person={person} />
      <button type="button" class="button quiet" onClick={() => void signOut().catch(sayTrouble)}>
        {nav.logOut}
      </button>
    </Page>
  )
}

function ProfileSection({ person }: { person: Profile }) {
  const { account, form, save } = texts.value
  const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')]
  const send = async (entries: FormData): Promise<void> => {
    const language = entry(entries, 'language') as Language
    const zone = entry(entries, 'zone')
    const body = { name: entry(entries, 'name'), language, zone: zone === '' ? null : zone }
    rememberUser((await call(authRoutes.changeProfile, { body })).body)
    chooseLanguage(language)
    say(texts.value.saved)
  }
  return (
    <section class="panel" aria-labelledby="profile">
      <h2 id="profile">{account.profile}</h2>
      <Form submit={save} send={send}>
        <Field name="name" label={form.name} defaultValue={person.name} autocomplete="name" required maxLength={100} />
        <Select name="language" label={account.language} defaultValue={person.language}>
          {languages.map((which) => (
            <option key={which} value={which} lang={which} selected={which === person.language}>
              {nameOfLanguage(which)}
            </option>
          ))}
        </Select>
        <Select name="zone" label={account.zone}>
          <option value="">{account.zoneUnset}</option>
          {zones.map((zone) => (
            <option key={zone} value={zone} selected={zone === person.zone}>
              {zone.replaceAll('_', ' ')}
            </option>
          ))}
        </Select>
      </Form>
    </section>
  )
}

function PasswordSection() {
  const { account, form } = texts.value
  const { attempt, step } = useProof()
  const send = async (entries: FormData, element: HTMLFormElement): Promise<void> => {
    const currentPassword = secretEntry(entries, 'currentPassword')
    const newPassword = newSecretEntry(entries, 'newPassword')
    await attempt(async () => {
      await call(authRoutes.changePassword, { body: { currentPassword, newPassword } })
      element.reset()
      say(account.passwordChanged)
    })
  }
  return (
    <section class="panel" aria-labelledby="change-password">
      <h2 id="change-password">{account.changePassword}</h2>
      {step}
      <div hidden={step !== null}>
        <Form submit={account.changePassword} send={send}>
          <input type="hidden" name="username" autocomplete="username" value={user.value?.email ?? ''} />
          <PasswordField name="currentPassword" label={account.currentPassword} autocomplete="current-password" />
          <PasswordField
            name="newPassword"
            label={account.newPassword}
            hint={form.passwordHint(PASSWORD_CHARACTERS_MIN)}
            autocomplete="new-password"
          />
        </Form>
      </div>
    </section>
  )
}
