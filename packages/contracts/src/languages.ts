// Written by `pnpm generate`: a language is a folder of services/notifications/templates.

/** Those in which every mail can be written; the first is for whoever has none of them. */
export const languages = ['en', 'de'] as const
