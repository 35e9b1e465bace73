export { runOperation } from './run-operation.ts'
