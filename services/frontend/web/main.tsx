import '@fontsource-variable/bricolage-grotesque/wght.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/frame.css'
import './styles/notices.css'
import './styles/shop.css'
import './styles/orders.css'
import './styles/account.css'
import './styles/office.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { followSession } from './basket.ts'
import { keepFocus } from './kept-focus.ts'
import { followLanguage } from './language.ts'
import { forgetNoticesOfOtherPages } from './notices.ts'
import { followLinks } from './router.ts'
import { restoreSession } from './session.ts'

followLinks()
keepFocus()
followSession()
forgetNoticesOfOtherPages()
void restoreSession()
void start()

/** A page whose words change under somebody's eyes is worse than one that comes a moment later. */
async function start(): Promise<void> {
  await followLanguage()
  const root = document.querySelector('#app')
  // What the document says while this has not come.
  root?.replaceChildren()
  if (root !== null) render(<App />, root)
}
