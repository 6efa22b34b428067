// The devices page: filters, one device, its credential, commands, tables.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { colours, eventually, open, out } from './harness.mjs'

let h
let page
let api
let devices
let townships
const added = `e2e-${Date.now().toString(36)}`
before(async () => {
  h = await open()
  const admin = h.logins.find((l) => l.role === 'admin')
  assert.ok(admin, 'the logins hold no administrator')
  api = await h.api(admin)
  devices = (await Promise.all(['tracker', 'sensor'].map((k) => api('GET', `/devices?limit=1000&kind=${k}`)))).flatMap((l) => l.items)
  townships = (await api('GET', '/areas?limit=1000')).items.filter((a) => a.level === 'township')
  page = await h.page({ width: 1440, height: 900 })
  await h.login(page, admin)
  await by('nav-devices').click()
})
after(() => h?.close())
afterEach(() => assert.deepEqual(h.faults, [], 'the pages are free of errors'))
const by = (name) => page.locator(`[data-test="${name}"]`)
const row = (id) => page.locator(`[data-test="device-row"][data-id="${id}"]`)
const shot = (name) => page.screenshot({ path: join(out, `${name}.png`) })
const rows = () => by('device-row').count()
const ids = () => by('device-row').evaluateAll((all) => all.map((r) => r.dataset.id))

test('the devices are counted, filtered, searched and paged', async () => {
  await by('device-row').first().waitFor()
  const { counts } = await api('GET', '/devices?limit=1')
  await eventually('counts', async () => Number(await by('total').innerText()) === counts.online + counts.late + counts.silent + counts.unknown)
  await shot('devices-1440')

  if (!h.real) {
    await by('tag-silent').click()
    await eventually('only silent ones', async () => (await page.locator('.live').evaluateAll((all) => all.map((x) => x.dataset.liveness))).every((l) => l === 'silent' || l === 'never_seen') && await rows() === counts.silent)
    await by('tag-silent').click()
    const marked = devices.find((d) => d.quarantine)
    await page.fill('[data-test="device-search"]', marked.id)
    await row(marked.id).locator('[data-test="quarantine-tag"]').click()
    await by('quarantine-pop').getByText(marked.quarantine.example).waitFor()
    await page.keyboard.press('Escape')
    await by('clear-filters').click()
  }
  await page.selectOption('[data-test="filter-kind"]', 'sensor')
  const sensors = devices.filter((d) => d.kind === 'sensor').map((d) => d.id)
  await eventually('only sensors', async () => {
    const now = await ids()
    return now.length === Math.min(50, sensors.length) && now.every((id) => sensors.includes(id))
  })
  const first = (await ids())[0]
  await by('next').click()
  await eventually('the second page', async () => !(await ids()).includes(first) && await by('page').innerText() === '第 2 页')
  await by('prev').click()
  await row(first).waitFor()
  const township = devices.find((d) => d.id === first)
  await page.selectOption('[data-test="filter-area"]', township.area)
  await eventually('one township', async () => {
    const names = await page.locator('td.area').allInnerTexts()
    return names.length > 0 && names.every((n) => n === township.area_name)
  })
  await by('clear-filters').click()
  const wanted = devices.find((d) => d.kind === 'tracker')
  await page.fill('[data-test="device-search"]', wanted.name)
  await row(wanted.id).waitFor()
  await eventually('only what was looked for', async () => await rows() < 50)
  await page.fill('[data-test="device-search"]', 'no such device')
  await by('no-devices').waitFor()
  await by('clear-filters').click()
})

test('what is remarkable of a device stands in words', { skip: Boolean(process.env.FIREWATCH_URL) && 'of the made-up devices' }, async () => {
  const said = async (find, words) => {
    const d = devices.find(find)
    await page.fill('[data-test="device-search"]', d.id)
    await row(d.id).getByText(words).waitFor()
  }
  await said((d) => d.health?.skew_s === 89, '时钟快 89 秒')
  await said((d) => d.health?.missing === 3, '缺 3 条（未知）')
  await said((d) => d.health?.buffered === 120, '终端内积压 120 条')
  await said((d) => d.health?.flood === 'cut', '发送过多，已切断')
  await said((d) => d.kind === 'sensor' && d.calibration === 'due', '应校准')
  await by('clear-filters').click()
  // A note is no failure.
  assert.match(await by('part-note').innerText(), /提示：设备连接未加密/)
  assert.doesNotMatch(await by('part-bad').innerText(), /未加密/)
})

test('a device tells of its state, its days, its way and takes commands', async () => {
  const d = devices.find((x) => x.kind === 'tracker' && x.liveness === 'online' && x.credential === 'active' && x.alias === '') ?? devices.find((x) => x.kind === 'tracker')
  await page.fill('[data-test="device-search"]', d.id)
  await row(d.id).locator('button').first().click()
  await by('health').locator('li').first().waitFor()
  await by('registry').getByText(d.name).waitFor()
  assert.equal(new URL(page.url()).pathname, `/devices/${d.id}`)
  await shot('device-state-1440')
  await by('tab-history').click()
  const figure = by('charts').locator('figure').first()
  // What a demo that has just begun has of this device may not be stored yet.
  await figure.waitFor({ timeout: 10_000 }).catch(async () => {
    await page.reload()
    await by('tab-history').click()
  })
  await figure.waitFor()
  await shot('device-history-1440')
  if (!h.real) {
    assert.ok((await by('charts').locator('.line').first().getAttribute('d')).match(/M/g).length > 1, 'gaps stay gaps')
    await by('span-720').click()
    await by('drawer').getByText('每点 3 小时').waitFor()
  }
  await by('tab-track').click()
  await by('track-sum').filter({ hasText: /个点/ }).waitFor()
  await eventually('the way is drawn', async () => (await colours(by('track-map').locator('canvas'))).colours > 20)
  await shot('device-track-1440')

  await by('tab-commands').click()
  assert.ok(await by('command-send').isDisabled(), 'a message without words is not sent')
  const text = `请到北坡查看 ${Date.now() % 100_000}`
  await page.fill('[name=command-text]', text)
  await by('command-send').click()
  const command = by('command').filter({ hasText: text })
  await command.waitFor()
  if (!h.real) await eventually('answered', async () => await command.getAttribute('data-state') === 'answered')
  assert.equal(await command.locator('[data-step]').count(), 4)
  await page.locator('.pill', { hasText: '召回' }).click()
  await by('command-send').click()
  const call = by('command').filter({ hasText: '召回' }).first()
  await call.waitFor()
  await call.locator('[data-test="command-withdraw"]').click()
  await call.locator('[data-test="withdraw-reason"]').fill('已联系上')
  await shot('device-commands-1440')
  await call.locator('[data-test="withdraw-sure"]').click()
  await eventually('withdrawn', async () => await call.getAttribute('data-state') === 'withdrawn')
  await by('drawer-close').click()
  assert.equal(new URL(page.url()).pathname, '/devices')
})

/** Nowhere in the page, its storage or its address. */
async function gone(secret) {
  const kept = await page.evaluate(() => document.documentElement.outerHTML + [...document.querySelectorAll('input, textarea')].map((x) => x.value).join()
    + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href + JSON.stringify(history.state))
  assert.ok(!kept.includes(secret), 'the password is gone')
}

test('a credential is shown once, and then nowhere', async () => {
  await by('clear-filters').click()
  await by('create-device').click()
  await page.fill('[name=id]', added)
  await page.fill('[name=name]', '试验终端')
  await page.selectOption('[name=area]', townships[0].code)
  await by('submit-device').click()
  await by('card').getByText('密码只显示这一次').waitFor()
  const secret = await by('card-password').innerText()
  assert.ok(secret.length >= 12)
  assert.ok(await by('card-qr').evaluate((img) => img.decode().then(() => img.naturalWidth > 50)), 'the code is drawn')
  await shot('device-card-1440')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  assert.ok(await by('card').isVisible(), 'a key pressed by mistake does not lose it')
  assert.ok(await by('card-close').isDisabled())
  await by('card-saved').check()
  await by('card-close').click()
  await by('card').waitFor({ state: 'detached' })
  await gone(secret)

  await page.fill('[data-test="device-search"]', added)
  await row(added).locator('button').first().click()
  await by('registry').getByText('试验终端').waitFor()
  await gone(secret)
  await by('act-rotate').click()
  await by('act-sure').click()
  await by('card').waitFor()
  const second = await by('card-password').innerText()
  assert.notEqual(second, secret)
  await by('card-saved').check()
  await by('card-close').click()
  await by('card').waitFor({ state: 'detached' })
  await gone(second)
})

test('a device is edited, loses its credential and is retired', async () => {
  await by('edit-device').click()
  await page.fill('[name=phone]', '0312-5550999')
  await by('save-device').click()
  await by('registry').getByText('0312-5550999').waitFor()
  await by('act-revoke').click()
  await by('act-sure').click()
  await by('registry').getByText('已吊销').waitFor()
  await by('act-retire').click()
  await by('act-sure').click()
  await by('drawer').getByText('已停用').first().waitFor()
  assert.equal((await api('GET', `/devices/${added}`)).disabled, true)
  await by('drawer-close').click()
  await by('clear-filters').click()
})

test('a table is tried before it changes anything', async () => {
  const [, made] = await Promise.all([by('export-csv').click(), page.waitForEvent('download')])
  assert.match(made.suggestedFilename(), /\.csv$/)
  await by('import').click()
  const table = (area) => ({ name: 'devices.csv', mimeType: 'text/csv', buffer: Buffer.from(`id,kind,area,name\n${added},tracker,${townships[0].code},改过的名字\n${added}-2,tracker,${area},新的\n`) })
  await by('import-file').setInputFiles(table('999999999'))
  await by('import-errors').locator('tbody tr').first().waitFor()
  assert.match(await by('import-errors').innerText(), /3/)
  assert.ok(await by('import-apply').isDisabled())
  await by('import-file').setInputFiles(table(townships[1].code))
  await by('import-changes').locator('tbody tr').nth(1).waitFor()
  assert.match(await by('import-sum').innerText(), /新增 1[\s\S]*修改 1[\s\S]*没有错误/)
  assert.notEqual((await api('GET', `/devices/${added}`)).name, '改过的名字', 'a dry run changes nothing')
  await shot('devices-import-1440')
  await by('import-apply').click()
  await by('import-done').waitFor()
  assert.equal((await api('GET', `/devices/${added}`)).name, '改过的名字')
  await page.keyboard.press('Escape')
})

test('the page fits a phone, and is for the office too', async () => {
  const phone = await h.page({ width: 390, height: 844 }, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
  await h.login(phone, h.office)
  await phone.locator('[data-test="nav-devices"]').tap()
  const one = phone.locator('[data-test="device-row"]').first()
  await one.waitFor()
  const wide = () => phone.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.querySelector('.devices').scrollWidth > innerWidth)
  assert.equal(await wide(), false, 'nothing is cut off at the side')
  for (const name of ['create-device', 'import']) assert.equal(await phone.locator(`[data-test="${name}"]`).count(), 0, 'for administrators only')
  await phone.screenshot({ path: join(out, 'devices-phone.png') })
  await one.locator('button').first().tap()
  await phone.locator('[data-test="health"] li').first().waitFor()
  assert.equal(await phone.locator('[data-test="act-rotate"]').count(), 0)
  assert.equal(await wide(), false)
  await phone.screenshot({ path: join(out, 'device-phone.png') })
  await phone.context().close()
})
