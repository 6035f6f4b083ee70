// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what a Dockerfile holds
import { configAfter } from './config.js';
import { parseDockerfile } from './dockerfile.js';
import { expandText, expandWord, splitWords } from './expand.js';
import { parseIgnore, patternRegex } from './patterns.js';

const instructions = (text: string) => parseDockerfile(`FROM x\n${text}`).stages[0]!.instructions;

describe('variables in words', () => {
  const values: Readonly<Record<string, string>> = { a: 'A', empty: '', path: '/usr/lib/x.tar.gz', n: 'foo bar' };
  const lookup = (name: string) => values[name];
  test.each([
    ['$a', 'A'],
    ['${a}b', 'Ab'],
    ['$none.', '.'],
    ['\\$a', '$a'],
    ["'$a'", '$a'],
    ['"$a \\"q\\" \\n"', 'A "q" \\n'],
    ['${none:-d}', 'd'],
    ['${empty:-d}', 'd'],
    ['${empty-d}', ''],
    ['${a:+set}', 'set'],
    ['${empty:+set}', ''],
    ['${empty+set}', 'set'],
    ['${none:-${a}x}', 'Ax'],
    ['${path##*/}', 'x.tar.gz'],
    ['${path#*/}', 'usr/lib/x.tar.gz'],
    ['${path%.*}', '/usr/lib/x.tar'],
    ['${path%%.*}', '/usr/lib/x'],
    ['${n/o/0}', 'f0o bar'],
    ['${n//o/0}', 'f00 bar'],
    ['a$', 'a$'],
    ['a\\ b', 'a b'],
  ])('%s is %s', (text, expected) => expect(expandWord(text, lookup)).toBe(expected));

  test.each(["'open", '"open', '${a', '${!}', '${none:?gone}'])('%s is refused', (text) => {
    expect(() => expandWord(text, lookup)).toThrow();
  });

  test('another escape character leaves backslashes alone', () => {
    expect(expandWord('C:\\dir\\`$a', lookup, '`')).toBe('C:\\dir\\$a');
    expect(splitWords('a\\ b c` d', '`')).toEqual(['a\\', 'b', 'c` d']);
  });

  test('in text, quotes stay', () => expect(expandText('"$a" \'$a\' \\$a', lookup)).toBe('"A" \'A\' $a'));
});

describe('a Dockerfile', () => {
  test('continued lines, comments in them, directives and heredocs', () => {
    const file = parseDockerfile(
      '# syntax=x\n# escape=`\n\n# a comment\nARG V=1\nFROM a:$V AS One\nRUN a `\n  # inside\n\n  b `  \n  c\nCOPY <<E <<"F" /d/\nx $V\nE\n$V\nF\nRUN <<-T\n\tx\n\tT\n',
    );
    expect(file.escapeChar).toBe('`');
    expect(file.globals.map((g) => g.rest)).toEqual(['V=1']);
    const [stage] = file.stages;
    expect(stage).toMatchObject({ base: 'a:$V', name: 'one', line: 6 });
    expect(stage!.instructions.map(({ line, rest }) => [line, rest])).toEqual([
      [7, 'a   b   c'],
      [12, '<<E <<"F" /d/'],
      [17, '<<-T'],
    ]);
    expect(stage!.instructions.flatMap((i) => i.heredocs)).toEqual([
      { name: 'E', content: 'x $V\n', expand: true },
      { name: 'F', content: '$V\n', expand: false },
      { name: 'T', content: 'x\n', expand: true },
    ]);
  });

  test('flags, exec and shell form', () => {
    const [copy, run, shell] = instructions('copy --from=a --chown=1:2 x y\nRUN ["a", "b"]\nRUN [ -f x ] && y\n');
    expect(copy).toMatchObject({ keyword: 'COPY', flags: { from: 'a', chown: '1:2' }, rest: 'x y' });
    expect(run!.exec).toEqual(['a', 'b']);
    expect([shell!.exec, shell!.rest]).toEqual([undefined, '[ -f x ] && y']);
  });

  test.each([
    ['', 1, /no instructions/],
    ['RUN x', 1, /only ARG may come before FROM/],
    ['FROM a\nNOPE', 2, /unknown instruction: NOPE/],
    ['FROM a\n\nCOPY x', 3, /at least two arguments/],
    ['FROM a\nCOPY --form=x a b', 2, /unknown flag: --form of COPY/],
    ['FROM a AS 1x', 1, /invalid name for build stage/],
    ['FROM a AS b\nFROM c AS B', 2, /duplicate name/],
    ['FROM a b', 1, /one or three arguments/],
    ['FROM a\nENV x', 2, /ENV must have two arguments/],
    ['FROM a\nENV x=1 y', 2, /can't find = in "y"/],
    ['FROM a\nSHELL sh', 2, /JSON form/],
    ['FROM a\nRUN <<E\nx', 2, /unterminated heredoc/],
    ['FROM a\nONBUILD ONBUILD RUN x', 2, /chaining ONBUILD/],
    ['FROM a\nONBUILD NOPE x', 2, /unknown instruction/],
    ['# escape=x\nFROM a', 1, /invalid escape token/],
    ['FROM a\nRUN', 2, /RUN requires at least one argument/],
  ])('%j is refused at line %d', (text, line, words) => {
    expect(() => parseDockerfile(text, 'D')).toThrow(
      expect.objectContaining({ line, message: expect.stringMatching(words) }),
    );
    expect(() => parseDockerfile(text, 'D')).toThrow(`D:${line}: `);
  });
});

describe('what instructions make of the configuration', () => {
  const after = (text: string, config = {}) =>
    instructions(text).reduce(
      (c, i) => configAfter(c, i, (name) => (name === 'v' ? 'V' : undefined), '\\'),
      config as ReturnType<typeof configAfter>,
    );
  test.each([
    ['ENV a=$v b="x y" a=2', { Env: ['a=2', 'b=x y'] }],
    ['ENV a the rest', { Env: ['a=the rest'] }],
    ['WORKDIR /a\nWORKDIR b/../c\nWORKDIR $v', { WorkingDir: '/a/c/V' }],
    ['CMD x $v', { Cmd: ['/bin/sh', '-c', 'x $v'] }],
    ['SHELL ["/bin/ash","-ec"]\nCMD x', { Shell: ['/bin/ash', '-ec'], Cmd: ['/bin/ash', '-ec', 'x'] }],
    [
      'EXPOSE 80 443/TCP 10-12/udp',
      { ExposedPorts: { '80/tcp': {}, '443/tcp': {}, '10/udp': {}, '11/udp': {}, '12/udp': {} } },
    ],
    [
      'HEALTHCHECK --interval=1m30s --retries=2 CMD true',
      { Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 90e9, Retries: 2 } },
    ],
    ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    ['ONBUILD RUN x\nONBUILD COPY a b', { OnBuild: ['RUN x', 'COPY a b'] }],
  ])('%s', (text, expected) => expect(after(text)).toEqual(expected));

  test('an entrypoint takes the default arguments away', () => {
    expect(after('ENTRYPOINT ["/x"]', { Cmd: ['a'] })).toEqual({ Entrypoint: ['/x'] });
  });
  test.each(['EXPOSE x', 'EXPOSE 70000', 'STOPSIGNAL a b c', 'HEALTHCHECK MAYBE', 'HEALTHCHECK --interval=1 CMD x'])(
    '%s is refused',
    (text) => expect(() => after(text)).toThrow(/^Dockerfile:2: /),
  );
});

describe('.dockerignore', () => {
  test.each([
    ['node_modules', ['node_modules', 'node_modules/a/b'], ['src/node_modules', 'node_modules2']],
    ['**/*.log', ['a.log', 'x/y/b.log'], ['a.log.txt']],
    ['/a/*/c', ['a/b/c', 'a/b/c/d'], ['a/c', 'a/b/x/c']],
    ['*\n!keep\n!a/b', ['other', 'a/c'], ['keep', 'keep/all', 'a/b']],
    ['a\n!a/b\na/b/secret', ['a/x', 'a/b/secret'], ['a/b', 'a/b/c']],
    ['# comment\n\n?x', ['ax'], ['x', 'aax']],
  ])('%j', (text, ignored, kept) => {
    const ignore = parseIgnore(text);
    expect(ignored.filter((path) => !ignore(path))).toEqual([]);
    expect(kept.filter((path) => ignore(path))).toEqual([]);
  });
  test('patterns without ** know directories', () => {
    expect(patternRegex('a*', false).test('a/b')).toBe(false);
    expect(patternRegex('[a-c]?.txt', false).test('bx.txt')).toBe(true);
  });
});
