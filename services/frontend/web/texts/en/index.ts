import { account } from './account.ts'
import { audit } from './audit.ts'
import { entrance } from './entrance.ts'
import { frame } from './frame.ts'
import { office } from './office.ts'
import { operate } from './operate.ts'
import { problems } from './problems.ts'
import { security } from './security.ts'
import { shop } from './shop.ts'

/** Every sentence the pages say. Each language has the same files and keys, checked by the compiler. */
export const texts = {
  ...frame,
  ...shop,
  ...entrance,
  ...account,
  ...security,
  ...office,
  ...operate,
  ...audit,
  ...problems,
}

export type Texts = typeof texts
