import { useSignal } from '@preact/signals'
import type { ImportReport } from '@saas/contracts'
import { Field, Form, WrongEntry } from '../components/form.tsx'
import { Icon } from '../components/icon.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { count } from '../formats.ts'
import { texts } from '../language.ts'
import { sayTrouble } from '../notices.ts'
import { linkTo } from '../router.ts'
import { exportFile, importFile, type FileFormat } from '../transfer.ts'

const ERRORS_SHOWN = 200

export function ManageFilesPage() {
  const { files, manage } = texts.value
  return (
    <SignedInOnly permission="products:write">
      <a class="back" href={linkTo('manageProducts')}>
        <Icon name="back" />
        {manage.title}
      </a>
      <Page title={files.title} kind="office">
        <ImportSection />
        <ExportSection />
      </Page>
    </SignedInOnly>
  )
}

function ImportSection() {
  const { files } = texts.value
  const part = useSignal<number | undefined>(undefined)
  const report = useSignal<ImportReport | undefined>(undefined)
  const send = async (entries: FormData, form: HTMLFormElement): Promise<void> => {
    const file = entries.get('file')
    if (!(file instanceof File) || file.name === '') throw new WrongEntry('/file', files.choose)
    report.value = undefined
    part.value = 0
    try {
      report.value = await importFile(file, (sent) => (part.value = sent))
      form.reset()
    } finally {
      part.value = undefined
    }
  }
  return (
    <section class="panel" aria-labelledby="import">
      <h2 id="import">{files.importTitle}</h2>
      <p>{files.importHint}</p>
      <Form submit={files.import} send={send}>
        <Field name="file" label={files.file} hint={files.fileHint} type="file" accept=".csv,.ndjson,.jsonl" required />
      </Form>
      {part.value !== undefined && (
        <progress max={1} value={part.value} aria-label={files.progress}>
          {Math.round(part.value * 100)} %
        </progress>
      )}
      <div class="report" role="status">
        {report.value !== undefined && <Report report={report.value} />}
      </div>
    </section>
  )
}

function Report({ report }: { report: ImportReport }) {
  const { files } = texts.value
  const { created, changed, unchanged, refused, stoppedAt, errors } = report
  return (
    <>
      <p>{files.report(count(created), count(changed), count(unchanged), count(refused))}</p>
      {stoppedAt !== null && <p>{files.stopped(count(stoppedAt))}</p>}
      {errors.length > 0 && (
        <Table heads={[files.line, files.reason]}>
          {errors.slice(0, ERRORS_SHOWN).map(({ line, reason }) => (
            <Row
              key={`${line} ${reason}`}
              head={
                <>
                  <span class="phone-label">{files.line} </span>
                  {count(line)}
                </>
              }
            >
              <Cell>
                <span lang="en">{reason}</span>
              </Cell>
            </Row>
          ))}
        </Table>
      )}
      {errors.length > ERRORS_SHOWN && <p>{files.moreErrors(count(errors.length - ERRORS_SHOWN))}</p>}
    </>
  )
}

function ExportSection() {
  const { files } = texts.value
  const isFetching = useSignal(false)
  const fetchFile = async (format: FileFormat): Promise<void> => {
    if (isFetching.value) return
    isFetching.value = true
    try {
      await exportFile(format)
    } catch (error) {
      sayTrouble(error)
    } finally {
      isFetching.value = false
    }
  }
  return (
    <section class="panel" aria-labelledby="export">
      <h2 id="export">{files.exportTitle}</h2>
      <p>{files.exportHint}</p>
      <div class="form-actions">
        {(['csv', 'ndjson'] as const).map((format) => (
          <button
            type="button"
            key={format}
            class="button quiet"
            aria-disabled={isFetching.value}
            onClick={() => void fetchFile(format)}
          >
            {files.export(format.toUpperCase())}
          </button>
        ))}
      </div>
    </section>
  )
}
