import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import devicesEn from './devices.en'
import devicesZh from './devices.zh'
import en from './en'
import officeEn from './office.en'
import officeZh from './office.zh'
import zh from './zh'

type Words = { [key: string]: string | string[] | Words }
function flat(words: Words, path = ''): Map<string, string> {
  const out = new Map<string, string>()
  for (const [key, value] of Object.entries(words)) {
    const at = path === '' ? key : `${path}.${key}`
    if (typeof value === 'string') out.set(at, value)
    else if (Array.isArray(value)) value.forEach((v, i) => out.set(`${at}.${i}`, v))
    else for (const [k, v] of flat(value, at)) out.set(k, v)
  }
  return out
}
const chinese = flat({ ...zh, ...devicesZh, ...officeZh } as Words)
const english = flat({ ...en, ...devicesEn, ...officeEn } as Words)
const params = (text: string) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]))].sort()

it('has every word in both languages, with the same parameters', () => {
  expect([...english.keys()].sort()).toEqual([...chinese.keys()].sort())
  for (const [key, text] of chinese) expect([key, params(english.get(key)!)]).toEqual([key, params(text)])
})

it('has no empty word, and no Chinese one among the English', () => {
  for (const [key, text] of [...chinese, ...english]) expect(text.trim(), key).not.toBe('')
  for (const [key, text] of english) if (key !== 'lang') expect(text, key).not.toMatch(/\p{Script=Han}/u)
})

it('has every word that the screens ask for', () => {
  const src = join(import.meta.dirname, '..')
  const groups = [...chinese.keys()].flatMap((k) => k.split('.').map((_, i, all) => all.slice(0, i + 1).join('.')))
  const known = new Set(groups)
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(vue|ts)$/.test(name) || name.endsWith('.test.ts')) continue
    const text = readFileSync(join(src, name), 'utf8')
    for (const [, key] of text.matchAll(/\bt\('([\w.]+)'/g)) expect(known.has(key!), `${name}: ${key}`).toBe(true)
    for (const [, head] of text.matchAll(/\bt\(`([\w.]+)\.\$\{/g)) expect(known.has(head!), `${name}: ${head}`).toBe(true)
  }
})
