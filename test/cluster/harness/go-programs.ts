import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory, findProgram, run, type ProgressStep } from '@saas/devstack'

const DOWNLOAD_TIMEOUT_MS = 600_000
/** Everything from nothing takes half an hour of one core; beside other work, longer. */
const BUILD_TIMEOUT_MS = 5_400_000

/** The version of a cluster made here. */
const KUBERNETES = 'v1.36.3'

/** Programs that are built together. */
interface Source {
  readonly requires: Readonly<Record<string, string>>
  /** Program to package; `.` is `main`. */
  readonly programs: Readonly<Record<string, string>>
  readonly main?: string
  /** Variables set at linking. */
  readonly set?: Readonly<Record<string, string>>
}

const [, MAJOR = '', MINOR = ''] = /^v(\d+)\.(\d+)/.exec(KUBERNETES) ?? []
const version = {
  'k8s.io/component-base/version.gitVersion': KUBERNETES,
  'k8s.io/component-base/version.gitMajor': MAJOR,
  'k8s.io/component-base/version.gitMinor': MINOR,
  'k8s.io/component-base/version.gitTreeState': 'clean',
}

/** What a cluster is made of. The versions are pinned here, and Go checks these modules against its public checksum database. */
const sources = {
  controlPlane: {
    // etcd's version is the one Kubernetes is tested with.
    requires: { 'k8s.io/kubernetes': KUBERNETES, 'go.etcd.io/etcd/server/v3': 'v3.6.8' },
    programs: {
      etcd: 'go.etcd.io/etcd/server/v3',
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
    },
    set: version,
  },
  node: {
    requires: { 'k8s.io/kubernetes': KUBERNETES, 'go.etcd.io/etcd/server/v3': 'v3.6.8' },
    programs: {
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
    },
    set: version,
  },
  // With the four plugins a cluster needs; all of them would bring the libraries of five clouds.
  names: {
    requires: { 'github.com/coredns/coredns': 'v1.14.7', 'k8s.io/kubernetes': KUBERNETES },
    programs: { coredns: '.' },
    main: `package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
`,
  },
  // What makes network policies true: the program of the Kubernetes project that does it without a network plug-in of its own.
  policies: {
    requires: { 'sigs.k8s.io/kube-network-policies': 'v1.1.1' },
    programs: { 'kube-network-policies': 'sigs.k8s.io/kube-network-policies/cmd/kube-network-policies/standard' },
  },
  pause: {
    requires: {},
    programs: { pause: '.' },
    main: `package main

import (
	"os"
	"os/signal"
	"syscall"
)

// Where a pod shares its processes this is the first of them, and takes in those that lost their parent.
func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
	}
}
`,
  },
} satisfies Record<string, Source>

type SourceName = keyof typeof sources
type ProgramName<Name extends SourceName> = keyof (typeof sources)[Name]['programs'] & string

/**
 * The programs of one source, built with Go on first use and kept in the cache of the clone. Throws one sentence when there is
 * no Go.
 */
export async function goPrograms<Name extends SourceName>(
  name: Name,
  step?: ProgressStep,
): Promise<Readonly<Record<ProgramName<Name>, string>>> {
  const source: Source = sources[name]
  const directory = join(cacheDirectory, 'cluster', [name, ...Object.values(source.requires)].join('-'))
  await mkdir(directory, { recursive: true })
  const paths = Object.keys(source.programs).map((program) => [program, join(directory, program)] as const)
  for (const [program, path] of paths) {
    if (existsSync(path)) continue
    step?.update(`fetching and building ${program}`)
    await build(source, program, path)
  }
  return Object.fromEntries(paths) as Record<ProgramName<Name>, string>
}

async function build(source: Source, program: string, path: string): Promise<void> {
  if (findProgram('go') === undefined) throw new Error(`${program} is built with Go, and there is no go on PATH.`)
  const work = await mkdtemp(`${path}.part-`)
  try {
    await writeFile(join(work, 'go.mod'), await wrapperModule(source, work))
    await writeFile(join(work, 'go.sum'), await sumsOf(source, work))
    await writeFile(join(work, 'main.go'), source.main ?? importing(source))
    const set = Object.entries(source.set ?? {}).map(([variable, value]) => `-X ${variable}=${value}`)
    const flags = ['-mod=mod', '-trimpath', `-ldflags=${['-s', '-w', ...set].join(' ')}`]
    await run('nice', ['-n', '19', 'go', 'build', ...flags, '-o', program, source.programs[program] ?? ''], {
      directory: work,
      environment: { CGO_ENABLED: '0' },
      timeoutMs: BUILD_TIMEOUT_MS,
    })
    await rename(join(work, program), path)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function wrapperModule({ requires }: Source, directory: string): Promise<string> {
  const required = Object.entries(requires).map(([path, pinned]) => `require ${path} ${pinned}`)
  const replaced = 'k8s.io/kubernetes' in requires ? await staged(directory) : []
  return ['module programs', 'go 1.26.0', ...required, ...replaced, ''].join('\n')
}

/**
 * Kubernetes requires its own parts (k8s.io/api and so on) at v0.0.0, a folder of its repository that no module holds. They are
 * published beside it, with a zero for the one of its version.
 */
async function staged(directory: string): Promise<string[]> {
  const { GoMod } = await download(`k8s.io/kubernetes@${KUBERNETES}`, directory)
  const parts = (await readFile(GoMod, 'utf8')).matchAll(/^\s(k8s\.io\/\S+) v0\.0\.0$/gm)
  return [...parts].map(([, part]) => `replace ${part} => ${part} ${KUBERNETES.replace(/^v1/, 'v0')}`)
}

/**
 * The checksums of all that the pinned modules are built with, as these say it themselves: a mirror of the public database may not know a
 * version that has no tag, and what is pinned was checked against that database.
 */
async function sumsOf({ requires }: Source, directory: string): Promise<string> {
  const modules = Object.entries(requires).map(([path, pinned]) => `${path}@${pinned}`)
  const sums = modules.map(async (module) => {
    const { Dir } = await download(module, directory)
    return await readFile(join(Dir, 'go.sum'), 'utf8')
  })
  return (await Promise.all(sums)).join('')
}

async function download(module: string, directory: string): Promise<{ readonly GoMod: string; readonly Dir: string }> {
  const arguments_ = ['mod', 'download', '-json', module]
  const printed = await run('go', arguments_, { directory, timeoutMs: DOWNLOAD_TIMEOUT_MS })
  return JSON.parse(printed.slice(printed.indexOf('{'))) as { GoMod: string; Dir: string }
}

/** Names the packages, so that Go finds which modules they are in. */
function importing({ programs }: Source): string {
  const imports = Object.values(programs).map((path) => `import _ "${path}"`)
  return ['//go:build never', 'package main', ...imports, ''].join('\n\n')
}
