// What every browser test needs: the server (a real one at FIREWATCH_URL, else
// the fake one), its logins, a browser, and an eye on errors of the pages.
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { startFake } from './fake.mjs'

export const out = join(dirname(fileURLToPath(import.meta.url)), 'out')

export async function open() {
  await mkdir(out, { recursive: true })
  const fake = process.env.FIREWATCH_URL ? null : await startFake()
  const url = fake?.url ?? process.env.FIREWATCH_URL.replace(/\/$/, '')
  const logins = fake?.logins ?? JSON.parse(await readFile(join(need('FIREWATCH_DATA'), 'demo-logins.json'), 'utf8'))
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-background-networking', '--disable-quic', '--no-first-run'],
  })
  const faults = []

  /** A page of its own browser context; its errors are collected. */
  async function page(size, options = {}) {
    const context = await browser.newContext({ viewport: size, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', ...options })
    const p = await context.newPage()
    p.setDefaultTimeout(20_000)
    p.on('pageerror', (e) => faults.push(`page error: ${e.message}`))
    p.on('console', (m) => {
      // A refused request is the server's word, not a fault of the page; the
      // first look for a session is one.
      if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) faults.push(`console: ${m.text()}`)
    })
    p.on('request', (r) => {
      if (!r.url().startsWith(url) && !/^(data|blob):/.test(r.url())) faults.push(`request to elsewhere: ${r.url()}`)
    })
    await p.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (e) => console.error(`policy violation: ${e.violatedDirective} ${e.blockedURI}`))
    })
    return p
  }

  async function login(p, who) {
    await p.goto(url)
    await p.fill('input[name=username]', who.username)
    await p.fill('input[name=password]', who.password)
    await p.click('button[type=submit]')
  }

  /** The API itself, as the account: what a phone or another tool would do. */
  async function api(who) {
    const call = (token) => async (method, path, body, headers = {}) => {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}), ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      const text = await response.text()
      assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
      return text === '' ? undefined : JSON.parse(text)
    }
    const { token } = await call('')('POST', '/sessions', { username: who.username, password: who.password })
    return call(token)
  }

  const office = logins.find((l) => l.role === 'office' && /^\d{4}(00)?$/.test(l.area)) ?? logins.find((l) => l.role === 'admin') ?? logins.find((l) => l.role === 'office')
  assert.ok(office, 'the logins hold no office account')
  const teams = logins.filter((l) => l.role === 'team')
  assert.ok(teams.length >= 2, 'the logins hold fewer than two team accounts')

  return {
    url, logins, office, teams, faults, real: fake === null, propose: fake?.propose, page, login, api,
    close: async () => {
      await browser.close()
      await fake?.close()
    },
  }
}

/** How many colours a part of the page shows, and how much of it is not the commonest one. */
export async function colours(locator) {
  const png = (await locator.screenshot()).toString('base64')
  return locator.page().evaluate(async (data) => {
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = image.width
    canvas.height = image.height
    const g = canvas.getContext('2d')
    g.drawImage(image, 0, 0)
    const pixels = new Uint32Array(g.getImageData(0, 0, canvas.width, canvas.height).data.buffer)
    const counts = new Map()
    for (const x of pixels) counts.set(x, (counts.get(x) ?? 0) + 1)
    return { colours: counts.size, drawn: 1 - Math.max(...counts.values()) / pixels.length }
  }, png)
}

/** Ask until the answer is true, or time is up. */
export async function eventually(what, ask, ms = 20_000) {
  const end = Date.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) assert.fail(`not in ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function need(name) {
  const value = process.env[name]
  assert.ok(value, `set ${name} to the server's data folder, for its demo-logins.json`)
  return value
}
