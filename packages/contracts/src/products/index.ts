export * from './events.ts'
export * from './routes.ts'
export * from './shapes.ts'
