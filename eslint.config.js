import { defineConfig } from 'eslint/config';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** What each room may import, besides itself and `common`. Imports only go down. */
const mayImport = {
  common: [],
  'fanotify-ts': [],
  attribution: [],
  store: [],
  image: ['fanotify-ts'],
  lists: [],
  content: ['fanotify-ts', 'image'],
  capture: ['fanotify-ts', 'attribution', 'store'],
  sessions: ['attribution', 'store', 'image'],
  recording: ['fanotify-ts', 'attribution', 'store', 'image', 'capture', 'sessions'],
  daemon: [
    'fanotify-ts',
    'attribution',
    'store',
    'image',
    'content',
    'capture',
    'sessions',
    'recording',
  ],
  cli: ['fanotify-ts', 'store', 'image', 'lists', 'content', 'capture', 'sessions', 'daemon'],
};

const rooms = Object.keys(mayImport);

export default defineConfig(
  { ignores: ['dist', 'build', 'node_modules', 'test/fixtures'] },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { 'import-x': importX },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-console': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': [
        'error',
        {
          zones: rooms.flatMap((room) =>
            rooms
              .filter(
                (other) => other !== room && other !== 'common' && !mayImport[room].includes(other),
              )
              .map((other) => ({
                target: `./src/${room}`,
                from: `./src/${other}`,
                message: `${room} must not import ${other}`,
              })),
          ),
        },
      ],
    },
  },
  {
    files: ['test/**'],
    rules: { '@typescript-eslint/no-floating-promises': 'off', 'no-console': 'off' },
  },
  {
    files: ['*.js', '**/*.cts'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: {
      'import-x/no-default-export': 'off',
      'no-console': 'off',
      '@typescript-eslint/no-require-imports': 'off',
    },
  },
);
