import { authRoutes, type Language } from '@saas/contracts'
import { call } from './client.ts'
import { chooseLanguage } from './language.ts'
import { sayTrouble } from './notices.ts'
import { rememberUser } from './session.ts'

/** Mails follow the language too, so a signed-in choice is the profile's. */
export async function saveLanguage(language: Language): Promise<void> {
  try {
    rememberUser((await call(authRoutes.changeProfile, { body: { language } })).body)
    chooseLanguage(language)
  } catch (error) {
    sayTrouble(error)
  }
}
