export { runOperation, operations, type Operation } from './run-operation.ts'
