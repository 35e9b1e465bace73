import { Page } from '../components/page.tsx'
import { Failure } from '../components/states.tsx'
import { texts } from '../language.ts'
import { Refused } from '../send.ts'
import { NotFoundPage } from './not-found.tsx'

/** Instead of a page whose thing could not be read. Where the address names nothing, trying again would not help. */
export function FailedPage({ error, retry }: { error: unknown; retry: () => void }) {
  if (error instanceof Refused && (error.status === 404 || error.status === 400)) return <NotFoundPage />
  return (
    <Page title={texts.value.failure.page} kind="narrow">
      <Failure error={error} retry={retry} />
    </Page>
  )
}
