// Takes the README's picture from a running `firewatch up --demo`: the map, the
// story's alert with its evidence, and an order to all teams filling in. It runs
// only when FIREWATCH_SCREENSHOT names the file to write, so that tests leave no
// difference behind:
//
//   FIREWATCH_URL=… FIREWATCH_DATA=… FIREWATCH_SCREENSHOT=screenshot.png npm run screenshot
//
// A path is taken from api/console.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { colours, eventually, open } from './harness.mjs'
import { repack } from './png.mjs'

const path = process.env.FIREWATCH_SCREENSHOT
const most = 400_000 // bytes

test('the picture for the README', { skip: !path && 'FIREWATCH_SCREENSHOT is not set' }, async () => {
  const h = await open()
  try {
    const page = await h.page({ width: 1440, height: 900 }, { reducedMotion: 'reduce' })
    const by = (name) => page.locator(`[data-test="${name}"]`)
    await h.login(page, h.office)
    await by('alerts').waitFor()
    const api = await h.api(h.office)
    const fire = await eventually('the fire', async () =>
      (await api('GET', '/alerts?state=firing&limit=200')).items.find((a) => a.severity !== 'notice' && a.evidence.length >= (h.real ? 12 : 1)), 300_000)
    await page.locator(`[data-test="alert"][data-id="${fire.id}"]`).click()
    const order = await api('POST', '/orders', {
      kind: 'standby', level: 'orange', text: '森林火险橙色预警生效，涞源县发现疑似火情。各队立即进入待命状态，人员在岗、装备装车，保持通信畅通。',
      targets: { areas: [], teams: [], kinds: ['professional', 'township'] }, drill: false, alert: '',
    }, { 'Idempotency-Key': randomUUID() })
    await page.locator(`[data-test="order"][data-id="${order.id}"]`).click()
    await page.locator('.zoom button').last().click() // all of the prefecture
    await page.mouse.move(720, 5)
    await eventually('two thirds of the answers', async () => Number(await by('tally-answered').innerText()) >= (h.real ? order.deliveries.length * 0.62 : 0), 90_000)
    await eventually('map drawn', async () => (await colours(by('map').locator('canvas'))).colours > 40)
    await by('version').evaluate((e) => (e.textContent = '')) // of no commit in particular
    const png = repack(await page.screenshot())
    assert.ok(png.length < most, `the picture has ${png.length} bytes, more than ${most}`)
    await writeFile(path, png)
    assert.deepEqual(h.faults, [])
  } finally {
    await h.close()
  }
})
