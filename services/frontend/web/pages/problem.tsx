import { allProblems } from '@saas/contracts'
import { Page } from '../components/page.tsx'
import { texts } from '../language.ts'
import { place } from '../router.ts'
import { NotFoundPage } from './not-found.tsx'

/** Where the `type` of every problem+json leads. */
export function ProblemPage() {
  const { problem: words, problems } = texts.value
  const problem = allProblems.find(({ name }) => name === place.value.params['name'])
  if (problem === undefined) return <NotFoundPage />
  return (
    <Page title={problems[problem.name] ?? problem.title} kind="narrow">
      <p class="lead" lang="en">
        {withCode(problem.explanation)}
      </p>
      <dl class="facts">
        <div>
          <dt>{words.machineName}</dt>
          <dd>
            <code>{problem.type}</code>
          </dd>
        </div>
        <div>
          <dt>HTTP</dt>
          <dd>{problem.status}</dd>
        </div>
      </dl>
    </Page>
  )
}

/** Names in `backticks` are code. */
function withCode(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))
}
