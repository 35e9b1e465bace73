import type { audit as english } from '../en/audit.ts'

export const audit: typeof english = {
  audit: {
    action: 'Was',
    concerns: 'Wen',
    by: 'Von',
    from: 'Woher',
    themselves: 'selbst',
    gone: 'ein gelöschtes Konto',
    nobody: 'kein Konto',
    none: 'Nichts davon ist geschehen.',
    notOnly: (name) => `Nicht nur ${name}`,
    actions: {
      'sign-in': 'Angemeldet',
      'sign-in-failed': 'Anmeldung gescheitert',
      'roles-changed': 'Rollen geändert',
      disabled: 'Gesperrt',
      enabled: 'Entsperrt',
      bootstrapped: 'Zum ersten Admin gemacht',
      'password-changed': 'Passwort geändert',
      'factor-added': 'Anmeldeweg hinzugefügt',
      'factor-removed': 'Anmeldeweg entfernt',
      'email-changed': 'Adresse geändert',
      'email-restored': 'Adresse zurückgeholt',
      'data-exported': 'Daten heruntergeladen',
      'account-deleted': 'Konto gelöscht',
    },
  },
}
