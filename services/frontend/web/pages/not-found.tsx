import { Page } from '../components/page.tsx'
import { SearchForm } from '../components/search.tsx'
import { texts } from '../language.ts'
import { go, linkTo } from '../router.ts'

export function NotFoundPage() {
  const { notFound, shop } = texts.value
  return (
    <Page title={notFound.title} kind="narrow" lead={<p class="lead">{notFound.hint}</p>}>
      <SearchForm search={(q) => go(linkTo('shop', {}, { q }))} />
      <a class="button" href={linkTo('shop')}>
        {shop.showAll}
      </a>
    </Page>
  )
}

export function CrashedPage() {
  const { crashed } = texts.value
  return (
    <Page title={crashed.title} kind="narrow" lead={<p class="lead">{crashed.hint}</p>}>
      <button type="button" class="button" onClick={() => location.reload()}>
        {crashed.reload}
      </button>
    </Page>
  )
}
