// What Anthropic's JavaScript SDK makes of a server: node client.mjs QUESTION URL ... prints it as JSON.

import Anthropic from '@anthropic-ai/sdk';

const asked = { max_tokens: 500, messages: [{ role: 'user', content: 'Hello' }] };

const client = (baseURL) => new Anthropic({ baseURL, apiKey: 'sk-test-sdk', maxRetries: 0 });

// All that an exception tells a program.
const told = (error) => ({
  name: error.constructor.name,
  status: error.status ?? null,
  message: error.message,
  body: error.error ?? null,
  type: error.type ?? null,
  id: error.requestID ?? null,
  wait: error.headers?.get('retry-after') ?? null,
});

async function answers(url, ...models) {
  const sdk = client(url);
  const seen = {};
  for (const model of models) {
    const whole = await sdk.messages.create({ model, ...asked });
    const stream = sdk.messages.stream({ model, ...asked });
    const gathered = await stream.finalMessage();
    const events = [];
    for await (const event of await sdk.messages.create({ model, stream: true, ...asked })) {
      events.push(event);
    }
    seen[model] = { whole, id: whole._request_id, gathered, streamId: stream.request_id, events };
  }
  return seen;
}

async function refused(url, stream) {
  try {
    await client(url).messages.create({ model: 'm', stream, ...asked });
  } catch (error) {
    return told(error);
  }
  return null;
}

async function refusals(...urls) {
  const seen = [];
  for (const [number, url] of urls.entries()) {
    seen.push(await refused(url, number % 2 === 1));
  }
  return seen;
}

async function interrupted(url, ...models) {
  const seen = {};
  for (const model of models) {
    const raw = { text: '', error: null };
    try {
      for await (const event of await client(url).messages.create({ model, stream: true, ...asked })) {
        raw.text += event.delta?.text ?? '';
      }
    } catch (error) {
      raw.error = told(error);
    }
    const helped = { text: '', error: null };
    try {
      const stream = client(url).messages.stream({ model, ...asked });
      stream.on('text', (text) => { helped.text += text; });
      await stream.finalMessage();
    } catch (error) {
      helped.error = told(error);
    }
    seen[model] = [raw, helped];
  }
  return seen;
}

async function many(url, count) {
  const sdk = client(url);
  const ask = (number) => sdk.messages.stream({
    model: 'm', max_tokens: 500, messages: [{ role: 'user', content: `number ${number} of them` }],
  }).finalMessage();
  return Promise.all([...Array(Number(count)).keys()].map(ask));
}

async function leave(url) {
  for await (const event of await client(url).messages.create({ model: 'm', stream: true, ...asked })) {
    return event.type;
  }
  return null;
}

const questions = { answers, refusals, interrupted, many, leave };
const [question, ...words] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await questions[question](...words)));
