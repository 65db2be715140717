import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantise4Bit, fourBitLevels, nf4Block, quantiseNf4 } from '../../../src/formats/index.ts';
import { fromBase64 } from './helpers.ts';

const expand = ({ codes, scales }: ReturnType<typeof quantiseNf4>, length: number) => {
  const out = new Float32Array(length);
  dequantise4Bit(codes, fourBitLevels.nf4, { values: scales, first: 0, blockSize: nf4Block }, 0, out);
  return out;
};

describe('values to NF4', () => {
  it('gives the bytes of bitsandbytes', () => {
    // 200 random values, six zeros and a tie of magnitudes among them, and what quantize_4bit of bitsandbytes 0.50.2
    // (CPU) made of them.
    const values = new Float32Array(fromBase64(given).slice().buffer);
    expect(values).toHaveLength(200);
    const { codes, scales } = quantiseNf4(values);
    expect(codes).toEqual(fromBase64(codesOfReference));
    expect(scales).toEqual(new Float32Array(fromBase64(scalesOfReference).slice().buffer));
  });

  it('takes the nearest level, and gives levels back', () => {
    const values = fc.array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, (list) => {
        const original = Float32Array.from(list);
        const made = quantiseNf4(original);
        const near = expand(made, original.length);
        original.forEach((x, i) => {
          const scale = made.scales[Math.floor(i / nf4Block)]!;
          const best = Math.min(...fourBitLevels.nf4.map((level) => Math.abs(level * scale - x)));
          expect(Math.abs(near[i]! - x)).toBeLessThanOrEqual(best + 1e-6 * scale + 1e-37);
        });
        // Levels are coded as themselves, as long as their scale can be inverted.
        if (made.scales.every((s) => s === 0 || s > 1e-30)) expect(quantiseNf4(near)).toEqual(made);
      }),
    );
  });

  it('fills half a byte and an empty block', () => {
    expect(quantiseNf4(new Float32Array(3))).toEqual({ codes: Uint8Array.of(0x77, 0x77), scales: Float32Array.of(0) });
    expect(quantiseNf4(Float32Array.of(-2))).toEqual({ codes: Uint8Array.of(0x07), scales: Float32Array.of(2) });
    expect(quantiseNf4(new Float32Array(0)).codes).toHaveLength(0);
  });
});

const given = [
  'us2vu9ZezjxJOGC9RRGkO22fPj2Ic6S8eVLoPXHn5L1jFm27bnWvvDeAjjwmQH+80uiCPdBaajypkiQ9s73uPIr0lTxrfIU9rYET',
  'vWPI7L009ZU9sbgVPWJPP7yySnM7Y6QhPQHAIT4S/QU+SlmrveoPjz3+pwM9FaQuPhJfKLzTfAi9wPenvLybx7ww/Mc8iAsqOydB',
  'm7tTBvY8O+h4vXmGm7xNbiI8mYoUPMtfQz3HYYm9YqCSO37sPD2R9Go9RJQCvQ6WHj7ALdi8yckkvO3MOT0Vsya+iNS1PZNmjryy',
  'Tok94Mq4vXVN7L2Is209GRBwvVPZF72+K8I99IPFPQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHLuk729TKM9De8SPRkVtrq5yqC9',
  'rzkMvXesNb2wUWK99LKAvRlNB74DhFY8nPRPvHiQ0buQt1K9/VgOPrLbzzxMPse9JcA2vIqkvDwyjr48NnitPL2pjL1TP549rUBo',
  'uqZvRL2UarG8RFAOvel7LL0t6gi93VKrvG1z4TzvpYM9XkyVvPDtaTssLry8THroPSxodj3rk0g9Qpm1vXJutj0CC7K9kdJ9vTvG',
  '2rxd3BA9ITMnPe+Hxbq7AyE+OBuwvDnGSL3bUzy+3AQHvdN1CjseAjc8HUjlPDfnojpa+Sg+qmVkvYGkVDyA5xC814uyPAAAAD8A',
  'AAC/I6DtPUzzi73DsBK9PLtJvf9Ykb2Smaq9HeAEPdV+CT2g2lo8uXIsu1nVo7unHqW9q0tjvR8zlz1rGLk9jXo3PIhKqT1w7ku+',
  'zNDfvMxdsb0u5uq8Siohu+tZGL0HELI7JU+mvV0CsLz6ruS8NftAPqLwAr2ovHe9aqvMvdS9z71uVOQ8gPOlu2+/3L0v/wq8R4nC',
  'Ont2gz37liq6OjBtvey63zuy1D280OgevZXVj70O8zu9jSP6vVFOlr1dcbs8R68iPqzFuL1ZFCk+QfDWPQG/yzx2KT49GMiDPZyQ',
  'sT1xXys+4e4avekBpD3Wmto8rK4OvTtH+j1YFdA98xYPPlXMabwG/U69vm3mPSVW2jw=',
].join('');
const codesOfReference = [
  'eUem4XaGuKmLUcpnr+LJ9lZZd5NoijerX1ag1sIbNd13d3c8lzVEMYZ06SaZg8dGVVabZ226LCRZp+ZAV4l/SHjwpmZViHd1aZeT',
  'ZWdnV2tmVYdXeXZ3ZWRYtbqImbaYT+9j6Q==',
].join('');
const scalesOfReference = 'FaQuPttTPD4AAAA/8xYPPg==';
