import { compressBuild } from './built-files.ts'

await compressBuild(process.argv[2] ?? 'dist')
