import type { Texts } from '../en/index.ts'
import { account } from './account.ts'
import { audit } from './audit.ts'
import { entrance } from './entrance.ts'
import { frame } from './frame.ts'
import { office } from './office.ts'
import { operate } from './operate.ts'
import { problems } from './problems.ts'
import { security } from './security.ts'
import { shop } from './shop.ts'

export const texts: Texts = {
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
