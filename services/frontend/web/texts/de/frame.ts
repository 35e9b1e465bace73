import type { frame as english } from '../en/frame.ts'

export const frame: typeof english = {
  skipToContent: 'Zum Inhalt',
  home: 'Zum Laden',
  loading: 'Lädt',
  tryAgain: 'Noch einmal',
  loadMore: 'Mehr laden',
  cancel: 'Abbrechen',
  save: 'Speichern',
  saved: 'Gespeichert',
  delete: 'Löschen',
  remove: 'Entfernen',
  dismiss: 'Schließen',
  yes: 'Ja',
  no: 'Nein',
  none: 'Keine',
  failure: {
    unanswered: 'Der Laden antwortet nicht. Prüfe deine Verbindung und versuche es noch einmal.',
    unavailable: 'Ein Teil des Ladens ist gerade nicht erreichbar. Versuche es gleich noch einmal.',
    unavailableSignedIn:
      'Ein Teil des Ladens ist gerade nicht erreichbar. Du bleibst angemeldet; versuche es gleich noch einmal.',
    tooMany: (seconds) =>
      seconds === undefined ? 'Das war zu oft. Warte ein wenig.' : `Das war zu oft. Warte ${seconds} Sekunden.`,
    inDoubt: 'Wir können deine Sitzung gerade nicht prüfen und versuchen es weiter. Stöbern geht solange.',
    passkeyDeclined: 'Es wurde kein Passkey benutzt. Versuche es noch einmal oder wähle einen anderen Weg.',
    unexpected: 'Etwas ist schiefgegangen.',
    page: 'Diese Seite konnte nicht geladen werden',
    fix: 'Einige Angaben passen noch nicht.',
  },
  document: {
    description: 'Ein kleiner Laden, hinter dem alles echt ist.',
    late: 'Das dauert lange.',
    noScript: 'Dieser Laden braucht JavaScript. Erlaube es für diese Seite und lade sie dann neu.',
  },
  nav: {
    label: 'Hauptnavigation',
    account: 'Konto',
    menu: 'Dein Menü',
    orders: 'Meine Bestellungen',
    manage: 'Produkte verwalten',
    manageOrders: 'Alle Bestellungen',
    operate: 'Betrieb',
    logIn: 'Anmelden',
    logOut: 'Abmelden',
    register: 'Registrieren',
    basket: (count) => `Warenkorb, ${count} Artikel`,
  },
  footer: {
    language: 'Sprache',
    note: 'Ein Laden zum Ausprobieren: Es wird nichts berechnet und nichts verschickt.',
  },
  problem: {
    machineName: 'Art des Problems',
  },
  notFound: {
    title: 'Diese Seite gibt es nicht',
    hint: 'Die Adresse ist vielleicht vertippt, oder was sie nannte, ist fort.',
  },
  forbidden: {
    title: 'Nicht für dein Konto',
    hint: 'Dieser Teil des Ladens braucht eine Rolle, die du nicht hast.',
  },
  crashed: {
    title: 'Diese Seite ist kaputtgegangen',
    hint: 'Das ist unser Fehler. Neu laden hilft meistens.',
    reload: 'Neu laden',
  },
}
