import { createI18n, useI18n } from 'vue-i18n'
import { span } from '../lib/time'
import en from './en'
import zh from './zh'

const key = 'firewatch.lang'

function saved(): 'zh-CN' | 'en' {
  try {
    return localStorage.getItem(key) === 'en' ? 'en' : 'zh-CN'
  } catch {
    return 'zh-CN'
  }
}

export const i18n = createI18n({
  legacy: false,
  locale: saved(),
  fallbackLocale: 'zh-CN',
  messages: { 'zh-CN': zh, en },
})
document.documentElement.lang = i18n.global.locale.value

/** addWords adds the words of a page that is loaded later. */
export function addWords(chinese: object, english: object): void {
  i18n.global.mergeLocaleMessage('zh-CN', chinese)
  i18n.global.mergeLocaleMessage('en', english)
}

/** useWords is the translator, with spans and ages of time in words. */
export function useWords() {
  const { t, te, tm, locale } = useI18n({ useScope: 'global' })
  return {
    t, te, tm, locale,
    spanWords(ms: number): string {
      const [unit, n] = span(ms)
      return t(`span.${unit}`, { n })
    },
    ago(iso: string, now: number): string {
      const [unit, n] = span(now - Date.parse(iso))
      // By a device's clock that is fast: it did not happen yet, so not "ago".
      if (Date.parse(iso) - now > 5000) return t('ago.ahead', { t: t(`span.${unit}`, { n }) })
      return unit === 's' && n < 5 ? t('ago.now') : t(`ago.${unit}`, { n })
    },
    /** Who gave an order: a post, a person, or a rule. */
    issuer(o: { issuer: string; issuer_name: string }): string {
      return o.issuer.startsWith('rule:') ? t('orders.byRule') : o.issuer_name || o.issuer
    },
    /** word translates a code of the server, or shows the code when it is new to us. */
    word(group: string, code: string): string {
      const path = `${group}.${code}`
      return code !== '' && te(path) ? t(path) : code
    },
    toggle(): void {
      locale.value = locale.value === 'en' ? 'zh-CN' : 'en'
      document.documentElement.lang = locale.value
      try {
        localStorage.setItem(key, locale.value)
      } catch {
        // The choice lasts as long as the page.
      }
    },
  }
}
