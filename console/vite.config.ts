import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const COMPONENTS = /node_modules\/@clevercloud\/components\/dist\//;
const CLIENT_PROOF = /node_modules\/@clevercloud\/client\/esm\/oauth\.js$/;

/** The components name hosts of their maker: pictures become ours, documents are not linked, no API is assumed. */
function atHome(): Plugin {
  return {
    name: 'at-home',
    enforce: 'pre',
    transform(code, id) {
      if (!COMPONENTS.test(id)) return null;
      return code
        .replaceAll('https://assets.clever-cloud.com/', '/assets/ext/')
        .replaceAll('https://api.clever-cloud.com', '')
        .replace(/<div slot=footer-right>[^]*?\)\}<\/div>/g, '')
        .replace(/https:\/\/(www|developers)\.clever-cloud\.com\/[a-zA-Z0-9/?=_.-]*/g, '/openapi.json');
    },
  };
}

/** The words of the components that the console uses; the other nine tenths are for services that are not here. */
const SPOKEN =
  /^(?!cc-)|^cc-(logs(-control)?\.|input-text|button|select|popover|notice|badge|block|clipboard|loader|toggle|expand|datetime)/;
const SPOKEN_IN_FORMS = /^cc-(env-var|email|orga-member)/;
const TRANSLATIONS = /@clevercloud\/components\/dist\/translations\.\w+\.js(\?forms)?$/;

function fewerWords(): Plugin {
  return {
    name: 'fewer-words',
    enforce: 'pre',
    transform(code, id) {
      if (!TRANSLATIONS.test(id)) return null;
      const wanted = id.endsWith('?forms') ? SPOKEN_IN_FORMS : SPOKEN;
      const kept: string[] = [];
      let whole: { start: number; end: number } | undefined;
      const visit = (node: unknown): void => {
        if (whole || typeof node !== 'object' || node === null) return;
        const found = node as { type?: string; start: number; end: number; properties?: Entry[] };
        const entries = found.type === 'ObjectExpression' ? (found.properties ?? []) : [];
        if (entries.some(each => String(each.key?.value).startsWith('cc-'))) {
          whole = found;
          const spoken = entries.filter(each => wanted.test(String(each.key?.value ?? each.key?.name)));
          kept.push(...spoken.map(each => code.slice(each.start, each.end)));
          return;
        }
        Object.values(node).forEach(each => (Array.isArray(each) ? each.forEach(visit) : visit(each)));
      };
      visit(this.parse(code));
      if (!whole) return null;
      return `${code.slice(0, whole.start)}{${kept.join(',')}}${code.slice(whole.end)}`;
    },
  };
}

interface Entry {
  start: number;
  end: number;
  key?: { value?: unknown; name?: string };
}

/** Requests are the signed-in browser's: no token is in the page, only the proof that the request is the page's own. */
function cookieInsteadOfTokens(): Plugin {
  return {
    name: 'cookie-instead-of-tokens',
    enforce: 'pre',
    load(id) {
      if (!CLIENT_PROOF.test(id)) return null;
      return `export function addOauthHeader() {
        return async asked => ({ ...asked, headers: { ...asked.headers, 'X-Havre-Console': '1' } });
      }`;
    },
  };
}

/** The licences of all that is in the bundle, beside it. */
function thirdParty(): Plugin {
  return {
    name: 'third-party',
    generateBundle(_options, bundle) {
      const seen = new Map<string, string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const folder = packageOf(id.replace(/^\0/, ''));
          if (folder) seen.set(folder, id);
        }
      }
      seen.set(join(import.meta.dirname, 'node_modules/@fontsource-variable/figtree'), '');
      const parts = [...seen.keys()].sort().map(folder => {
        const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
        const file = readdirSync(folder).find(name => /^licen[cs]e/i.test(name));
        const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
        return `${about.name} ${about.version} (${about.license})\n\n${text}`;
      });
      const head =
        'What this console is made of besides Havre. The @clevercloud packages are changed when they are bundled: addresses of hosts are rewritten, requests are authenticated by the session of the browser.';
      this.emitFile({
        type: 'asset',
        fileName: 'assets/third-party.txt',
        source: [head, ...parts].join('\n\n' + '-'.repeat(80) + '\n\n') + '\n',
      });
    },
  };
}

function packageOf(id: string): string | null {
  if (!id.includes('node_modules')) return null;
  let folder = dirname(id);
  while (folder.includes('node_modules')) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version) return folder;
    folder = dirname(folder);
  }
  return null;
}

/** The font under a name that the plain pages of signing in know too. */
function plainFont(): Plugin {
  return {
    name: 'plain-font',
    generateBundle() {
      const file = 'node_modules/@fontsource-variable/figtree/files/figtree-latin-wght-normal.woff2';
      const source = readFileSync(join(import.meta.dirname, file));
      this.emitFile({ type: 'asset', fileName: 'assets/figtree.woff2', source });
    },
  };
}

/** Every text once more, compressed: the server only hands files out. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    enforce: 'post',
    writeBundle(options, bundle) {
      const out = options.dir ?? '';
      for (const file of Object.keys(bundle)) {
        if (!/\.(js|css|svg|txt)$/.test(file)) continue;
        const content = readFileSync(join(out, file));
        this.fs.writeFile(join(out, `${file}.gz`), gzipSync(content, { level: 9 }));
        this.fs.writeFile(join(out, `${file}.br`), brotliCompressSync(content));
      }
    },
  };
}

export default defineConfig({
  plugins: [atHome(), fewerWords(), cookieInsteadOfTokens(), thirdParty(), plainFont(), compressed()],
  build: {
    target: 'es2022',
    outDir: process.env.HAVRE_CONSOLE_OUT ?? '../src/havre/console/web',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      output: { entryFileNames: 'assets/[name]-[hash].js', chunkFileNames: 'assets/[name]-[hash].js' },
    },
  },
});
