import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

// Vite would empty dist itself, and with it the file that keeps the folder
// alive for go:embed; so this does it and spares that file.
function emptyDistButKeep(): Plugin {
  let dist = ''
  return {
    name: 'empty-dist-but-keep',
    apply: 'build',
    configResolved(config) {
      dist = join(config.root, config.build.outDir)
    },
    buildStart() {
      for (const name of readdirSync(dist, { withFileTypes: true })) {
        if (name.name !== 'keep') rmSync(join(dist, name.name), { recursive: true, force: true })
      }
    },
  }
}

export default defineConfig({
  plugins: [vue(), emptyDistButKeep()],
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0, // the policy lets scripts come from files only
    chunkSizeWarningLimit: 1200, // MapLibre alone is that large
  },
  worker: { format: 'es' },
  server: {
    proxy: { '/api': process.env.FIREWATCH_URL ?? 'http://127.0.0.1:8080' },
  },
})
